"""Raw records of any of the formats that people keep them in, one at a time, each with its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.csv_rows import read_csv
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.json_array import read_items
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, Row, read_rows
from pytest_finetune.verdicts.evalset.reading import LineFault, foreign_bytes, read_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}
"""What a file is taken for, by its ending."""

MAX_LISTED = 100_000
"""Records left out that are listed; the count of all is exact."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that cannot be used: the 1-based line it begins on, and why."""

    line: int
    reason: str


@dataclass(slots=True)
class LeftOuts:
    """How many records were left out, and the first `MAX_LISTED` of them."""

    count: int = 0
    listed: list[LeftOut] = field(default_factory=list)

    def add(self, record: LeftOut) -> None:
        """Count one, and list it while there is room."""
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(record)

    def nothing_left(self, source: Path) -> DataError:
        """The error where no record at all could be used."""
        if not self.listed:
            return DataError("the file holds no record", str(source), "is it the right file, and the right format?")
        first = self.listed[0]
        others = f" (and {self.count - 1:,} more)" if self.count > 1 else ""
        return DataError(f"no record could be used: {first.reason}{others}", f"{source}:{first.line}")


def format_of(path: Path) -> str:
    """
    `jsonl`, `json`, `csv` or `tsv`, by the ending of the name.

    Raises:
        DataError: The ending is none that is known.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise DataError(
            f"{path.suffix or 'no ending'} tells no format", str(path), "say --format jsonl, json, csv or tsv"
        )
    return found


def read_raw(
    path: Path, *, form: str, encoding: str = "utf-8-sig", limit: int = MAX_LINE_BYTES
) -> Iterator[Row | LeftOut]:
    """
    The records of a file in order.

    Args:
        path: The file.
        form: `jsonl`, `json` (one array), `csv` or `tsv`.
        encoding: Of `json`, `csv` and `tsv`; JSONL is UTF-8. The default drops a byte order mark.
        limit: Bytes or characters of one record; a longer one is left out, or an error where the rest depends on it.

    Raises:
        DataError: The file cannot be read at all, or from some place on.
    """
    if form == "jsonl":
        yield from read_jsonl(path, limit=limit)
        return
    name = str(path)
    try:
        with path.open("rb") as raw, TextIOWrapper(raw, encoding, newline="") as file:
            # Looked at ahead and not read, because a pipe cannot be wound back.
            _refuse_foreign(raw.peek(1), name, encoding)
            if form == "json":
                for line, item in read_items(file, name, limit=limit):
                    yield _item(name, line, item)
            else:
                delimiter = "," if form == "csv" else "\t"
                for line, value in read_csv(file, name, delimiter=delimiter, limit=limit):
                    yield LeftOut(line, value) if isinstance(value, str) else Row(name, line, value)
    except UnicodeError as error:
        problem = f"is not {encoding.removesuffix('-sig')}: {getattr(error, 'reason', error)}"
        raise DataError(problem, name, "say how it is written: --encoding cp1252, utf-16 …") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", name, "check the path and the rights") from error


def read_jsonl(path: Path, *, limit: int = MAX_LINE_BYTES) -> Iterator[Row | LeftOut]:
    """
    The records of a JSONL file in order.

    Raises:
        DataError: The file cannot be read, or is something else than JSON lines in UTF-8.
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


def _refuse_foreign(head: bytes, name: str, encoding: str) -> None:
    # UTF-16 looks like binary data, and is none where it was announced.
    if encoding.startswith("utf-8") and (foreign := foreign_bytes(head)):
        problem, hint = foreign
        raise DataError(problem, name, f"{hint}; or say --encoding utf-16" if "UTF-16" in problem else hint)
