"""Safe fixes of a training file, written to a new file: nothing is guessed, and every change is counted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.chat_example import example_of_row
from pytest_finetune.lifecycle.data.finding import Finding, Severity
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, Row, read_rows
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

FIXED = (
    *("invalid_json", "line_too_long", "data_type", "lone_surrogate", "duplicate"),
    *("surrounding_whitespace", "byte_order_mark", "line_ending", "blank_line"),
)
"""Codes that a fixed file has no more; of `data_type` and `lone_surrogate` those that concern a whole line."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """
    What was done to a file.

    Args:
        file: The file that was mended, as people know it.
        written: Rows in the new file.
        dropped: Lines that were left out, by code.
        trimmed: Rows whose answers lost white space around them.
        cleaned: What else was mended, by code: the byte order mark, line ends, blank lines.
    """

    file: str
    written: int
    dropped: dict[str, int] = field(default_factory=dict)
    trimmed: int = 0
    cleaned: tuple[str, ...] = ()


def write_fixed(
    source: Path, target: Path, *, force: bool = False, name: str = "", max_line_bytes: int = MAX_LINE_BYTES
) -> Fixed:
    """
    Write a file anew: without broken lines and exact duplicates, its answers trimmed, each row ended by a line feed.

    Rows that need no change keep their bytes. The new file is whole or not there.

    Args:
        source: The training file.
        target: The new file, another than the source.
        force: Take the place of a file that is there.
        name: The source as people know it.
        max_line_bytes: Longer lines are left out.

    Raises:
        DataError: No row can be read, or the new file cannot be written.
    """
    refuse_own_source(source, [target])
    with new_files([target], force=force) as (out,):
        fixing = _Fixing(out)
        for each in read_rows(source, name, max_line_bytes=max_line_bytes):
            if isinstance(each, Row):
                fixing.write(each)
            else:
                fixing.leave_out(each)
        if not fixing.written:
            raise DataError("no row can be read, so that nothing is left to fix", name or str(source))
    return Fixed(name or str(source), fixing.written, dict(fixing.dropped), fixing.trimmed, tuple(fixing.cleaned))


class _Fixing:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._seen: set[tuple[bytes, bytes]] = set()
        self.written = self.trimmed = 0
        self.dropped: Counter[str] = Counter()
        self.cleaned: list[str] = []

    def write(self, row: Row) -> None:
        example = example_of_row(row.file, row.line, row.value)
        if example is not None:
            said = example.prompt_id, example.answer_id
            if said in self._seen:
                self.dropped["duplicate"] += 1
                return
            self._seen.add(said)
        raw = row.raw.strip()
        if _trim(row.value):
            self.trimmed += 1
            raw = json.dumps(row.value, ensure_ascii=False).encode()
        self._out.write(raw + b"\n")
        self.written += 1

    def leave_out(self, finding: Finding) -> None:
        if finding.code == "file_type":
            raise DataError(finding.problem, finding.file, finding.hint)
        if finding.severity is Severity.ERROR:
            self.dropped[finding.code] += 1
        else:
            self.cleaned.append(finding.code)


def _trim(row: dict[str, Any]) -> bool:
    """Take white space from both ends of the assistant's texts; whether there was any."""
    messages = row.get("messages")
    trimmed = False
    for message in messages if type(messages) is list else ():
        if type(message) is dict and message.get("role") == "assistant" and type(message.get("content")) is str:
            bare = message["content"].strip()
            if bare and bare != message["content"]:
                message["content"], trimmed = bare, True
    return trimmed
