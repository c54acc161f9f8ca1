"""Reads CSV and TSV row by row, as text by column; cells may contain line breaks."""

from __future__ import annotations

import csv
import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


DELIMITERS = ",;\t|"
"""Separators to look for in a header; the one with the most columns is used, on a tie the first."""

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
"""A line before the header with which spreadsheets declare the separator."""

_QUOTED = re.compile(r'"[^"]*"')


def read_csv(
    file: TextIO, name: str, *, delimiter: str | None, limit: int
) -> Iterator[tuple[int, dict[str, str] | str]]:
    """
    Yield the rows below the header, each with the 1-based line it starts on; a row that cannot be used as its problem.

    Columns without a name at the end of the header, as spreadsheets write them, are left out if they are empty.

    Args:
        file: Opened with `newline=""`, so that cells keep their line breaks.
        name: Name of the file in errors.
        delimiter: Separator of cells; None takes the one of a `sep=` line or else the header's.
        limit: Maximum characters of a cell and of a line.

    Raises:
        DataError: The header cannot be used, quotes do not match, or a cell is longer than the limit.
    """
    lines = _lines(file, name, limit)
    first, skipped = next(lines, ""), 0
    if separator := _SEPARATOR_LINE.fullmatch(first):
        delimiter, first, skipped = delimiter or separator[1], next(lines, ""), 1
    before = csv.field_size_limit(limit)
    reader = csv.reader(chain([first], lines), delimiter=delimiter or _delimiter(first), strict=True)
    line = 1 + skipped
    try:
        header = _header(next(reader, []), name, line)
        line = reader.line_num + skipped + 1
        for cells in reader:
            if any(cells):
                yield line, _row(header, cells)
            line = reader.line_num + skipped + 1
    except csv.Error as error:
        hint = "double the quotes within a quoted cell, or check --format and --delimiter"
        raise DataError(f"not CSV: {error}", f"{name}:{line}", hint) from error
    finally:
        csv.field_size_limit(before)


def _delimiter(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max(DELIMITERS, key=bare.count)


def _row(header: list[str], cells: list[str]) -> dict[str, str] | str:
    surplus = cells[len(header) :]
    if len(cells) < len(header) or any(surplus):
        return f"the row has {len(cells)} cell{'' if len(cells) == 1 else 's'}, the header has {len(header)}"
    row = dict(zip(header, cells, strict=False))
    nul = next((column for column, cell in row.items() if "\0" in cell), None)
    # Such a text is refused by most servers, and is a sign of a wrong encoding or a damaged file.
    return row if nul is None else f"column {nul!r} has a NUL character; remove it, or check --encoding"


def _header(cells: list[str], name: str, line: int) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    at, hint = f"{name}:{line}", "the header names the columns"
    if not cells:
        raise DataError("the file is empty", name, hint)
    if nameless := [number for number, cell in enumerate(cells, 1) if not cell.strip()]:
        raise DataError(f"column {nameless[0]} of {len(cells)} has no name", at, hint)
    if nul := next((cell for cell in cells if "\0" in cell), None):
        raise DataError(f"the column name {nul!r} has a NUL character", at, "check --encoding, such as utf-16")
    twice = [cell for cell, count in Counter(cells).items() if count > 1]
    if twice:
        raise DataError(f"two columns are named {twice[0]!r}", at, hint)
    return cells


def _lines(file: TextIO, name: str, limit: int) -> Iterator[str]:
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        if len(line) > limit:
            hint = "split it, or raise --max-line-bytes"
            raise DataError(f"a line is longer than {limit:,} characters", f"{name}:{number}", hint)
        yield line
