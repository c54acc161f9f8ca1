"""Untrusted text as HTML: always escaped, with control and bidi characters made visible."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pytest_finetune.base.diff import word_changes
from pytest_finetune.base.text import printable
from pytest_finetune.reports.text import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable


def escaped(text: str, limit: int | None = None) -> str:
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


def _side(tag: str, parts: Iterable[tuple[str, bool]]) -> str:
    return "".join(escaped(text) if same else f"<{tag}>{escaped(text)}</{tag}>" for text, same in parts if text)
