"""Reads CSV and TSV row by row, as text by column; cells may contain line breaks."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


def read_csv(file: TextIO, name: str, *, delimiter: str, limit: int) -> Iterator[tuple[int, dict[str, str] | str]]:
    """
    Yield the rows below the header, each with the 1-based line it starts on; a row that cannot be used as its problem.

    Args:
        file: Opened with `newline=""`, so that cells keep their line breaks.
        name: Name of the file in errors.
        delimiter: Separator of cells.
        limit: Maximum characters of a cell and of a line.

    Raises:
        DataError: The header cannot be used, quotes do not match, or a cell is longer than the limit.
    """
    before = csv.field_size_limit(limit)
    reader = csv.reader(_lines(file, name, limit), delimiter=delimiter, strict=True)
    line = 1
    try:
        header = _header(next(reader, []), name)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield line, _row(header, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        hint = "double the quotes within a quoted cell, or check --format"
        raise DataError(f"not CSV: {error}", f"{name}:{line}", hint) from error
    finally:
        csv.field_size_limit(before)


def _row(header: list[str], cells: list[str]) -> dict[str, str] | str:
    if len(cells) != len(header):
        return f"the row has {len(cells)} cell{'' if len(cells) == 1 else 's'}, the header has {len(header)}"
    return dict(zip(header, cells, strict=True))


def _header(cells: list[str], name: str) -> list[str]:
    if not cells:
        raise DataError("the file is empty", name, "the first line names the columns")
    twice = [cell for cell, count in Counter(cells).items() if count > 1]
    if twice:
        raise DataError(f"two columns are named {twice[0]!r}", f"{name}:1", "the first line names the columns")
    return cells


def _lines(file: TextIO, name: str, limit: int) -> Iterator[str]:
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        if len(line) > limit:
            hint = "split it, or raise --max-line-bytes"
            raise DataError(f"a line is longer than {limit:,} characters", f"{name}:{number}", hint)
        yield line
