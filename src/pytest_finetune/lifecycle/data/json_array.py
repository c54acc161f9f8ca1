"""A JSON array of any length, item by item: memory stays within one item, and every item knows its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_CHUNK = 256 * 1024
_BLANK = " \t\r\n"
_NUMBER = "0123456789.eE+-"

# Only finds where a value ends: what it means is for the strict reader, and numbers of any length may stand in it.
_FINDER = json.JSONDecoder(parse_int=str, parse_float=str)


def read_items(file: TextIO, name: str, *, limit: int) -> Iterator[tuple[int, str]]:
    """
    The items of an array as JSON text, each with the 1-based line that it begins on.

    Args:
        file: Opened with `newline=""`, so that lines are counted as they stand.
        name: The file as people know it.
        limit: Characters that one item may have.

    Raises:
        DataError: The file is no array, is cut off, or an item is longer than the limit.
    """
    scan = _Scan(file, name, limit)
    if scan.next_mark() != "[":
        raise scan.fault(
            "the file is no JSON array", "if each line is an object, say --format jsonl; else: jq '.rows' or the like"
        )
    scan.take_mark()
    if scan.next_mark() == "]":
        scan.take_mark()
    else:
        yield from _items(scan)
    if scan.next_mark():
        raise scan.fault("something stands after the array", "keep one array in the file")


def _items(scan: _Scan) -> Iterator[tuple[int, str]]:
    while True:
        scan.next_mark()
        yield scan.line, scan.take_item()
        mark = scan.next_mark()
        if mark not in ("]", ","):
            raise scan.fault("the array is cut off" if not mark else f"{mark!r} stands between two items", "")
        scan.take_mark()
        if mark == "]":
            return


class _Scan:
    """A window on a text that is read as far as it is needed."""

    def __init__(self, file: TextIO, name: str, limit: int) -> None:
        self._file, self._name, self._limit = file, name, limit
        self._text, self._at = "", 0
        self.line = 1

    def fault(self, problem: str, hint: str) -> DataError:
        return DataError(problem, f"{self._name}:{self.line}", hint)

    def next_mark(self) -> str:
        """The next character that is no white space, not yet taken; nothing at the end."""
        while True:
            rest = len(self._text)
            start = self._at
            while self._at < rest and self._text[self._at] in _BLANK:
                self._at += 1
            self.line += self._text.count("\n", start, self._at)
            if self._at < rest:
                return self._text[self._at]
            if not self._read_more():
                return ""

    def take_mark(self) -> None:
        self._at += 1

    def take_item(self) -> str:
        while True:
            try:
                _, end = _FINDER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._read_more():
                    continue
                self.line += self._text.count("\n", self._at, error.pos)
                raise self.fault(f"not JSON: {error.msg}", "the file is cut off, or broken here") from None
            except RecursionError:
                raise self.fault("an item is nested too deeply", "flatten it") from None
            # A number may go on behind the window; anything else has its own end.
            if self._text[self._at] not in _NUMBER or self._text[end:].strip(_NUMBER) or not self._read_more():
                break
        item = self._text[self._at : end]
        self._at = end
        self.line += item.count("\n")
        return item

    def _read_more(self) -> bool:
        kept = len(self._text) - self._at
        if kept > self._limit:
            raise self.fault(
                f"an item is longer than {self._limit:,} characters, or broken", "split it, or raise --max-line-bytes"
            )
        # Twice as much every time, so that a long item is looked at a few times only.
        read = self._file.read(max(_CHUNK, kept))
        if read:
            self._text, self._at = self._text[self._at :] + read, 0
        return bool(read)
