"""Untrusted text as HTML, always escaped, with control and bidi characters made visible; and pages without scripts."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING

from pytest_finetune.base.diff import word_changes
from pytest_finetune.base.text import printable
from pytest_finetune.reports.text import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

_TITLE = 120


def escape_html(text: str, limit: int | None = None) -> str:
    """The text, cut to `limit` characters, for an element or a quoted attribute; a single line of source."""
    short = text if limit is None else shortened(text, limit)
    # pytest-html's script rewrites every source line that begins with an E.
    return escape(printable(short)).replace("\n", "&#10;")


def marked(expected: str, got: str, limit: int) -> tuple[str, str] | None:
    """Both texts with their differences in `<del>` and `<ins>`; None if they are too long or too different."""
    changes = word_changes(expected, got) if max(len(expected), len(got)) <= limit else None
    if changes is None:
        return None
    return (
        _side("del", ((ours, ours == theirs) for ours, theirs in changes)),
        _side("ins", ((theirs, ours == theirs) for ours, theirs in changes)),
    )


def plain_page(title: str, body: str, *, style: str) -> str:
    """
    A self-contained page without scripts, blocked from the network by its Content-Security-Policy.

    Args:
        title: Plain text; escaped here.
        body: HTML in which all untrusted text is already escaped.
        style: The stylesheet; the policy allows it by its hash.
    """
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="pytest-finetune {version("pytest-finetune")}">\n'
        f"<title>{escape_html(title, _TITLE)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _side(tag: str, parts: Iterable[tuple[str, bool]]) -> str:
    return "".join(escape_html(text) if same else f"<{tag}>{escape_html(text)}</{tag}>" for text, same in parts if text)
