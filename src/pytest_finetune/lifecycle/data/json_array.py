"""Reads a JSON array of any length item by item, with line numbers; only one item is held in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

# Characters that are read at once.
_CHUNK = 256 * 1024
_BLANK = " \t\r\n"
_NUMBER = "0123456789.eE+-"

# Only finds the end of a value, which is parsed strictly afterwards. Numbers stay text: Python limits their digits.
_FINDER = json.JSONDecoder(parse_int=str, parse_float=str)


def read_items(file: TextIO, name: str, *, limit: int) -> Iterator[tuple[int, str]]:
    """
    Yield the items of an array as JSON text, each with the 1-based line it starts on.

    Args:
        file: Opened with `newline=""`, so that line breaks are counted as they are.
        name: Name of the file in errors.
        limit: Maximum characters of an item.

    Raises:
        DataError: The file is not an array, is truncated, or has an item longer than the limit.
    """
    scan = _Scan(file, name, limit)
    if scan.next_mark() != "[":
        raise scan.fault(
            "the file is not a JSON array",
            "if each line is an object, use --format jsonl; otherwise extract the array, e.g. with jq '.rows'",
        )
    scan.take_mark()
    if scan.next_mark() == "]":
        scan.take_mark()
    else:
        yield from _items(scan)
    if scan.next_mark():
        raise scan.fault("there is text after the array", "the file must contain one array")


def _items(scan: _Scan) -> Iterator[tuple[int, str]]:
    while True:
        scan.next_mark()
        yield scan.line, scan.take_item()
        mark = scan.next_mark()
        if mark not in ("]", ","):
            raise scan.fault("the array is truncated" if not mark else f"unexpected {mark!r} between two items", "")
        scan.take_mark()
        if mark == "]":
            return


class _Scan:
    """A window on a text that is read as needed."""

    def __init__(self, file: TextIO, name: str, limit: int) -> None:
        self._file, self._name, self._limit = file, name, limit
        self._text, self._at = "", 0
        self.line = 1

    def fault(self, problem: str, hint: str) -> DataError:
        return DataError(problem, f"{self._name}:{self.line}", hint)

    def next_mark(self) -> str:
        """The next character that is not whitespace, without taking it; empty at the end."""
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
                raise self.fault(f"not JSON: {error.msg}", "the file is truncated, or broken here") from None
            except RecursionError:
                raise self.fault("an item is nested too deeply", "flatten it") from None
            # A number may continue after the window; all other values have a closing character.
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
        # Doubled every time, so that a long item is scanned in linear time overall.
        read = self._file.read(max(_CHUNK, kept))
        if read:
            self._text, self._at = self._text[self._at :] + read, 0
        return bool(read)
