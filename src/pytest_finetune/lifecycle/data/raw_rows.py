"""Reads raw records from JSONL, JSON, CSV or TSV one at a time, each with its line number."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.text import with_file
from pytest_finetune.lifecycle.data.csv_rows import read_csv
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.json_array import read_items
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, Row, read_rows
from pytest_finetune.verdicts.evalset.reading import LineFault, foreign_bytes, read_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
"""Formats by file suffix."""

MAX_LISTED = 100_000
"""Maximum number of skipped records that are listed; their count is exact."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A skipped record: the 1-based line it starts on, and the reason."""

    line: int
    reason: str


@dataclass(slots=True)
class LeftOuts:
    """The number of skipped records, and the first `MAX_LISTED` of them."""

    count: int = 0
    listed: list[LeftOut] = field(default_factory=list)

    def add(self, record: LeftOut) -> None:
        """Count a record, and list it unless the limit is reached."""
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(record)

    def nothing_left(self, source: Path) -> DataError:
        """The error if no record is usable."""
        if not self.listed:
            return DataError("the file has no records", str(source), "check the path and the format")
        first = self.listed[0]
        others = f" (and {self.count - 1:,} more)" if self.count > 1 else ""
        problem = f"no record is usable: {with_file(first.reason, str(source))}{others}"
        return DataError(problem, f"{source}:{first.line}")


def format_of(path: Path) -> str:
    """
    `jsonl`, `json`, `csv` or `tsv`, by the suffix of a file.

    Raises:
        DataError: The suffix is unknown.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        problem = f"unknown format {path.suffix!r}" if path.suffix else "unknown format: the file has no suffix"
        raise DataError(problem, str(path), "use --format jsonl, json, csv or tsv")
    return found


def read_raw(
    path: Path,
    *,
    form: str,
    encoding: str = "utf-8-sig",
    delimiter: str | None = None,
    limit: int = MAX_LINE_BYTES,
) -> Iterator[Row | LeftOut]:
    """
    Read the records of a file in order.

    Args:
        path: The file.
        form: `jsonl`, `json` (one array), `csv` or `tsv`.
        encoding: Encoding of `json`, `csv` and `tsv`; JSONL is UTF-8. The default drops a byte order mark.
        delimiter: Separator of cells in `csv`; None finds it. In `tsv` it is a tab.
        limit: Maximum bytes (JSONL) or characters of a record. A longer line of JSONL is skipped; in other formats it
            is an error, because the start of the next record is unknown.

    Raises:
        DataError: The file, or the rest of it after some line, cannot be read.
    """
    if form == "jsonl":
        yield from read_jsonl(path, limit=limit)
        return
    name = str(path)
    try:
        with path.open("rb") as raw, TextIOWrapper(raw, encoding, newline="") as file:
            # Peeked at, not read: a pipe cannot be rewound.
            _refuse_foreign(raw.peek(1), name, encoding)
            if form == "json":
                for line, item in read_items(file, name, limit=limit):
                    yield _item(name, line, item)
            else:
                separator = delimiter or (None if form == "csv" else "\t")
                for line, value in read_csv(file, name, delimiter=separator, limit=limit):
                    yield LeftOut(line, value) if isinstance(value, str) else Row(name, line, value)
    except UnicodeError as error:
        problem = f"not {encoding.removesuffix('-sig')}: {getattr(error, 'reason', error)}"
        raise DataError(problem, name, "set its encoding, such as --encoding cp1252 or utf-16") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", name, "check path and permissions") from error


def read_jsonl(path: Path, *, limit: int = MAX_LINE_BYTES) -> Iterator[Row | LeftOut]:
    """
    Read the records of a JSONL file in order.

    Raises:
        DataError: The file cannot be read, or is not JSON Lines in UTF-8.
    """
    for each in read_rows(path, max_line_bytes=limit):
        if isinstance(each, Row):
            yield each
        elif each.line == 0:
            raise DataError(each.problem, each.file, each.hint)
        elif each.severity is Severity.ERROR:
            yield LeftOut(each.line, each.problem)


def _item(name: str, line: int, item: str) -> Row | LeftOut:
    try:
        value: dict[str, Any] = read_object(item.encode())
    except LineFault as fault:
        return LeftOut(line, fault.problem)
    return Row(name, line, value)


_FEW_NULS = 3
"""NUL characters that are named where they are, also in a file of a few lines."""


def _refuse_foreign(head: bytes, name: str, encoding: str) -> None:
    # UTF-16 looks like binary data, so that only UTF-8 input is checked.
    if encoding.startswith("utf-8") and (foreign := foreign_bytes(head, accepted=_FEW_NULS)):
        problem, hint = foreign
        raise DataError(problem, name, f"{hint}, or use --encoding utf-16" if "UTF-16" in problem else hint)
