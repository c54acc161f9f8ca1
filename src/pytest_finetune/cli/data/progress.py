"""How far a long command has come, on standard error, and only where somebody is watching."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_EVERY = 0.2
_AT_ONCE = 500


def watched(rows: Iterable[T], doing: str) -> Iterator[T]:
    """
    The rows, counted on a terminal's last line while they pass, which is wiped at the end.

    Args:
        rows: Whatever is worked on.
        doing: What is being done to them, in one word.
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
