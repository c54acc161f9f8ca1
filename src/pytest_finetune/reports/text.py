"""Text from outside, made safe and short for a terminal, and laid out by the columns that it takes there."""

from __future__ import annotations

import textwrap
import unicodedata
from decimal import Decimal

from pytest_finetune.base.text import printable, shorten

Line = tuple[str, dict[str, bool]]
"""A line of output and its markup, as `TerminalReporter.write_line` takes them."""


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, with a word on how many were left out."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def columns(text: str) -> int:
    """How wide a terminal draws the text: two columns for a Chinese character, none for a combining mark."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def padded(text: str, width: int) -> str:
    """The text with spaces up to `width` columns."""
    return text + " " * (width - columns(text))


def fitted(text: str, width: int) -> str:
    """The text on one line of at most `width` columns: the middle left out, what cannot be printed escaped."""
    limit = width
    while columns(short := shorten(text, limit)) > width:
        limit -= 1
    return short


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` columns, all but the first with an indent; at least one line."""
    lines = textwrap.wrap(printable(text), width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    if all(columns(line) <= width for line in lines):
        return lines
    return textwrap.wrap(
        printable(text), max(width // 2, len(indent) + 1), subsequent_indent=indent, break_on_hyphens=False
    )


def dollars(amount: Decimal | None) -> str:
    """An amount of money as people write it; an unknown one is said to be unknown."""
    if amount is None:
        return "unknown"
    if 0 < amount < Decimal("0.01"):
        return f"${amount.normalize():.2g}" if amount < Decimal("0.0001") else f"${amount:.4f}"
    return f"${amount:,.2f}"


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
