"""Safe fixes of a training file, written to a new file; nothing is guessed, and every change is counted."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.canonical import example_of_row
from pytest_finetune.lifecycle.data.chat_rows import read_or_none
from pytest_finetune.lifecycle.data.finding import Finding, Severity
from pytest_finetune.lifecycle.data.rows import MAX_LINE_BYTES, Row, read_rows
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import BinaryIO

    from pytest_finetune.base.json_text import Json
    from pytest_finetune.verdicts.shapes.row import ChatRow

FIXED = (
    *("invalid_json", "line_too_long", "data_type", "lone_surrogate", "duplicate"),
    *("surrounding_whitespace", "byte_order_mark", "line_ending", "blank_line"),
)
"""Codes that no longer occur in a fixed file; of `data_type` and `lone_surrogate` only those of a whole line."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """
    The changes that were made.

    Args:
        file: Name of the file that was fixed.
        written: Rows in the new file.
        dropped: Lines that were removed, by code.
        trimmed: Rows whose answers were trimmed.
        cleaned: Other codes that were fixed: byte order mark, line endings, blank lines.
    """

    file: str
    written: int
    dropped: dict[str, int] = field(default_factory=dict)
    trimmed: int = 0
    cleaned: tuple[str, ...] = ()


def write_fixed(
    source: Path,
    target: Path,
    *,
    force: bool = False,
    name: str = "",
    max_line_bytes: int = MAX_LINE_BYTES,
    shape: str = "",
) -> Fixed:
    """
    Write a fixed copy: without broken lines and exact duplicates, with answers trimmed and line feeds as line endings.

    All other rows are copied byte for byte. The new file is written atomically.

    Args:
        source: The training file.
        target: The new file; must not be the source.
        force: Overwrite an existing file.
        name: Name of the source in errors; by default its path.
        max_line_bytes: Longer lines are removed.
        shape: Name of the rows' shape; empty finds it by their columns.

    Raises:
        DataError: No row can be read, or the new file cannot be written.
    """
    refuse_own_source(source, [target])
    with new_files([target], force=force) as (out,):
        fixing = _Fixing(out, shape)
        for each in read_rows(source, name, max_line_bytes=max_line_bytes):
            if isinstance(each, Row):
                fixing.write(each)
            else:
                fixing.leave_out(each)
        if not fixing.written:
            raise DataError("no row can be read, so there is nothing to fix", name or str(source))
    return Fixed(name or str(source), fixing.written, dict(fixing.dropped), fixing.trimmed, tuple(fixing.cleaned))


class _Fixing:
    def __init__(self, out: BinaryIO, shape: str) -> None:
        self._out, self._shape = out, shape
        self._seen: set[bytes] = set()
        self.written = self.trimmed = 0
        self.dropped: Counter[str] = Counter()
        self.cleaned: list[str] = []

    def write(self, row: Row) -> None:
        chat = read_or_none(row.value, self._shape)
        if chat is not None:
            content = example_of_row(row.file, row.line, chat).row_id
            if content in self._seen:
                self.dropped["duplicate"] += 1
                return
            self._seen.add(content)
        raw = row.raw.strip()
        if _trim(row.value, chat, self._shape):
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


def _trim(row: dict[str, Any], chat: ChatRow | None, shape: str) -> bool:
    """
    Trim the answers in place; return whether anything changed.

    The column of an answer depends on the row's shape, so texts that equal an answer are trimmed, and the row is read
    again: it is left as it is unless exactly its answers have changed.
    """
    if chat is None or type(row.get("messages")) is list:
        return _trim_messages(row.get("messages"))
    wanted = deepcopy(chat.messages)
    padded = {message["content"] for message in chat.messages if _trim_messages([dict(message)])}
    if not _trim_messages(wanted):
        return False
    trimmed = {column: _replaced(item, padded) for column, item in row.items()}
    again = read_or_none(trimmed, shape)
    if again is None or again.messages != wanted:
        return False
    row.update(trimmed)
    return True


def _trim_messages(messages: object) -> bool:
    """Trim the texts of assistant messages in place; return whether anything changed."""
    trimmed = False
    for message in messages if type(messages) is list else ():
        if type(message) is dict and message.get("role") == "assistant" and type(message.get("content")) is str:
            bare = message["content"].strip()
            if bare and bare != message["content"]:
                message["content"], trimmed = bare, True
    return trimmed


def _replaced(value: Json, padded: Collection[str]) -> Json:
    """A copy of a JSON value in which some texts are trimmed."""
    if isinstance(value, dict):
        return {key: _replaced(item, padded) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, padded) for item in value]
    return value.strip() if isinstance(value, str) and value in padded else value
