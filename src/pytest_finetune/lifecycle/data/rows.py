"""JSONL files read line by line: what is not a row becomes a finding, and only one line is held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM, LineFault, document_fault, foreign_bytes, read_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

    from pytest_finetune.lifecycle.data.finding import Finding

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Longer than any trainable example: a million tokens take about four megabytes."""

# Bytes of a too long line that are skipped at a time.
_CHUNK = 64 * 1024
_BLANK = b" \t\r\n"
_TABLES = (".csv", ".tsv", ".tab")
_CONVERT_TABLE = "name the columns: pytest-finetune data prepare FILE -o NEW.jsonl --map input=… --map output=…"


@dataclass(frozen=True, slots=True)
class Row:
    """
    One JSON object of a JSONL file.

    Args:
        file: Name of the file in findings.
        line: 1-based line number.
        value: The object.
        raw: The line as it is in the file, with its line ending.
    """

    file: str
    line: int
    value: dict[str, Any]
    raw: bytes = b""


def read_rows(path: Path, name: str = "", *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Row | Finding]:
    """
    Read the rows of a JSONL file in order; lines that are not rows, and problems of the file itself, are findings.

    No content raises an error: binary data, UTF-16, broken JSON and endless lines are findings.

    Args:
        path: A JSONL file in UTF-8.
        name: Name of the file in findings; by default the path.
        max_line_bytes: A longer line is a finding, and is never held in memory.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            if path.suffix.lower() in _TABLES and not file.peek(1).lstrip(_BLANK).startswith(b"{"):
                yield make_finding("file_type", name, 0, "a table, not JSON Lines", _CONVERT_TABLE)
                return
            yield from _read(file, name, max_line_bytes)
    except OSError as error:
        known = [other.name for other in path.parent.glob("*.jsonl")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, known) if known and not path.exists() else "check path and permissions"
        yield make_finding("file_type", name, 0, f"cannot be read: {error.strerror}", hint)


def refuse_pipe(path: Path) -> None:
    """
    Refuse an input that cannot be read twice.

    Raises:
        DataError: The path is a pipe or a device.
    """
    if path.exists() and not path.is_file():
        raise DataError("cannot be read twice", str(path), "it is not a regular file; save the data to one first")


def _read(file: BufferedReader, name: str, limit: int) -> Iterator[Row | Finding]:
    # Peeked at, not read: a pipe cannot be rewound.
    head = file.peek(1)
    if head.startswith(UTF8_BOM):
        head = head.removeprefix(file.read(len(UTF8_BOM)))
        yield make_finding(
            "byte_order_mark", name, 1, "the file starts with a byte order mark", "remove it (--fix does)"
        )
    if foreign := foreign_bytes(head) or document_fault(head):
        yield make_finding("file_type", name, 0, *foreign)
        return
    lines = _Lines(name, limit)
    number = 0
    while raw := file.readline(limit + 1):
        number += 1
        if len(raw) > limit and not raw.endswith(b"\n"):
            size = len(raw) + skip_line(file)
            hint = f"split it, or raise --max-line-bytes (now {limit:,})"
            yield make_finding("line_too_long", name, number, f"the line is {size:,} bytes long", hint)
            lines.rows += 1
        else:
            yield from lines.read(raw, number)
    yield from lines.closing()


class _Lines:
    """The lines of one file: rows and findings, and the findings that concern many lines, reported once at the end."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self.rows = 0
        self._blank: list[int] = []
        self._crlf: list[int] = []

    def read(self, raw: bytes, number: int) -> Iterator[Row | Finding]:
        if not raw.strip(_BLANK):
            self._blank = self._blank or [number, 0]
            self._blank[1] += 1
            return
        self.rows += 1
        if raw.endswith(b"\r\n"):
            self._crlf = self._crlf or [number, 0]
            self._crlf[1] += 1
        try:
            yield Row(self.name, number, read_object(raw), raw)
        except LineFault as fault:
            yield make_finding(fault.kind, self.name, number, fault.problem, fault.hint)

    def closing(self) -> Iterator[Finding]:
        if not self.rows:
            yield make_finding("file_type", self.name, 0, "the file is empty", 'write one {"messages": […]} per line')
        if self._blank:
            line, count = self._blank
            yield make_finding(
                "blank_line",
                self.name,
                line,
                f"{count:,} blank line{'s' * (count > 1)}; this is the first",
                "remove them (--fix does)",
            )
        if self._crlf:
            line, count = self._crlf
            problem = f"{count:,} line{'s' * (count > 1)} ending with \\r\\n; this is the first"
            yield make_finding("line_ending", self.name, line, problem, "end lines with \\n (--fix does)")


def skip_line(file: BufferedReader) -> int:
    """Read to the end of the line without keeping it; return the number of bytes."""
    size = 0
    while part := file.readline(_CHUNK):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size
