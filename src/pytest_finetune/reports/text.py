"""Untrusted text made safe and short for a terminal, and laid out by its display width."""

from __future__ import annotations

import textwrap
import unicodedata
from decimal import Decimal

from pytest_finetune.base.text import printable, shorten

Line = tuple[str, dict[str, bool]]
"""A line of output and its markup, as `TerminalReporter.write_line` takes them."""


def shortened(text: str, limit: int) -> str:
    """The first `limit` characters, followed by how many more there are."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def columns(text: str) -> int:
    """Display width in a terminal: two columns for a Chinese character, none for a combining mark."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def padded(text: str, width: int) -> str:
    """The text padded with spaces to `width` columns."""
    return text + " " * (width - columns(text))


def fitted(text: str, width: int) -> str:
    """The text on one line of at most `width` columns: the middle cut, unprintable characters escaped."""
    limit = width
    while columns(short := shorten(text, limit)) > width:
        limit -= 1
    return short


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Wrap to lines of at most `width` columns, all but the first indented; at least one line."""
    lines = textwrap.wrap(printable(text), width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    if all(columns(line) <= width for line in lines):
        return lines
    # textwrap counts characters, and a character takes up to two columns.
    return textwrap.wrap(
        printable(text), max(width // 2, len(indent) + 1), subsequent_indent=indent, break_on_hyphens=False
    )


def dollars(amount: Decimal | None) -> str:
    """US dollars with two decimals, more for small amounts; `unknown` for None."""
    if amount is None:
        return "unknown"
    if 0 < amount < Decimal("0.01"):
        return f"${amount.normalize():.2g}" if amount < Decimal("0.0001") else f"${amount:.4f}"
    return f"${amount:,.2f}"


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
