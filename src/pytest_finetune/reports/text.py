"""Untrusted text made safe and short for a terminal, and laid out by its display width."""

from __future__ import annotations

import textwrap
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.text import printable, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from pytest_finetune.verdicts.stats import Interval

Markup = dict[str, bool]
"""Bold and colours, as `TerminalReporter.write_line` takes them."""

Line = tuple[str, Markup]
"""A line of output and its markup."""

WIDTH = 80
"""Columns of what a command prints; a session uses the terminal's width."""

GAP = "  "
"""Separates the columns of a table."""

_LONGEST = 400
_LEAST = 8
"""Minimum width of a column that is shortened."""


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


def one_line(text: str) -> str:
    """Untrusted text on one line, cut if it is very long."""
    return shorten(text, _LONGEST)


def wrapped(text: str, markup: Markup | None = None, *, indent: int = 4, width: int = WIDTH) -> Iterator[Line]:
    """The text in lines of at most `width` columns, all but the first indented; no line for a blank text."""
    lines = _wrapped(text, width, indent)
    if any(columns(line) > width for line in lines):
        # textwrap counts characters, and a character takes up to two columns.
        lines = _wrapped(text, max(width // 2, indent + 1), indent)
    return ((line, markup or {}) for line in lines)


def field_lines(name: str, text: str, markup: Markup | None = None) -> Iterator[Line]:
    """A fact with its name before it; nothing if the text is empty."""
    if text:
        yield from wrapped(f"  {name:<12}  {one_line(text)}", markup, indent=16)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, wide: int) -> Iterator[Line]:
    """
    A table of at most `WIDTH` columns of text.

    Args:
        head: Name of each column.
        rows: Text of each column.
        wide: Index of the column that is shortened if the table is too wide.
    """
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    others = sum(widths) - widths[wide] + len(GAP) * (len(head) - 1)
    widths[wide] = min(widths[wide], max(_LEAST, WIDTH - others))
    for number, row in enumerate((head, *rows)):
        cells = (shorten(text, width).ljust(width) for text, width in zip(row, widths, strict=True))
        yield GAP.join(cells).rstrip(), {} if number else {"bold": True}


def estimate(value: float | None, interval: Interval | None = None) -> str:
    """A rate with its interval, three digits each; a dash if it is unknown."""
    if value is None:
        return "-"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]" if interval else f"{value:.3f}"


def number(value: float | None) -> str:
    """A figure to four significant digits; a dash if it is unknown."""
    return "-" if value is None else f"{value:.4g}"


def moment(when: datetime) -> str:
    """A time to the second, with its zone."""
    return f"{when:%Y-%m-%d %H:%M:%S %Z}"


def dollars(amount: Decimal | None) -> str:
    """US dollars with two decimals, more for small amounts; `unknown` for None."""
    if amount is None:
        return "unknown"
    if 0 < amount < Decimal("0.01"):
        return f"${amount.normalize():.2g}" if amount < Decimal("0.0001") else f"${amount:.4f}"
    return f"${amount:,.2f}"


def listed_counts(counts: Mapping[str, int]) -> str:
    """Counts as text: `40 images, 1 file`; the names are given as plurals."""
    names = {name: name.removesuffix("s") if count == 1 else name for name, count in counts.items()}
    return ", ".join(f"{count:,} {shorten(names[name], 40)}" for name, count in counts.items())


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(printable(text), width, subsequent_indent=" " * indent, break_on_hyphens=False)
