"""Text from outside as HTML: whatever it holds, it comes out as text, with control and bidi codes written out."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from pytest_finetune.base.diff import word_changes
from pytest_finetune.base.text import printable
from pytest_finetune.reports.text import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable


def escaped(text: str, limit: int | None = None) -> str:
    """The text for an element or a quoted attribute, on one line of source, of at most `limit` characters."""
    short = text if limit is None else shortened(text, limit)
    # pytest-html's script rewrites whatever source line begins with an E.
    return escape(printable(short)).replace("\n", "&#10;")


def marked(expected: str, got: str, limit: int) -> tuple[str, str] | None:
    """Both texts, with what only one of them says as `<del>` and `<ins>`; None where marks would tell nothing."""
    changes = word_changes(expected, got) if max(len(expected), len(got)) <= limit else None
    if changes is None:
        return None
    return (
        _side("del", ((ours, ours == theirs) for ours, theirs in changes)),
        _side("ins", ((theirs, ours == theirs) for ours, theirs in changes)),
    )


def _side(tag: str, stretches: Iterable[tuple[str, bool]]) -> str:
    return "".join(escaped(text) if same else f"<{tag}>{escaped(text)}</{tag}>" for text, same in stretches if text)
