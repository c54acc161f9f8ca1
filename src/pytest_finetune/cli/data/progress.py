"""The progress of long commands, on stderr if it is a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

# Seconds between two updates, and rows between two looks at the clock.
_EVERY = 0.2
_AT_ONCE = 500


def watched(rows: Iterable[T], doing: str) -> Iterator[T]:
    """
    Pass rows through, and show their number on the terminal's last line; the line is cleared at the end.

    Args:
        rows: Rows of any type.
        doing: What is done with them, as a participle: `checked`.
    """
    if not sys.stderr.isatty():
        yield from rows
        return
    shown = time.monotonic()
    try:
        for number, row in enumerate(rows, 1):
            if number % _AT_ONCE == 0 and (now := time.monotonic()) - shown > _EVERY:
                shown = now
                sys.stderr.write(f"\r{doing} {number:,} rows")
                sys.stderr.flush()
            yield row
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
