"""Reads records of any known shape as chats; a record that cannot be read is left out, and lost columns are errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.text import shorten, with_file
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts
from pytest_finetune.verdicts.shapes import CONTEXTS, NAMES, read_row, unused_columns
from pytest_finetune.verdicts.shapes.row import RowFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.verdicts.shapes.row import ChatRow, Shape

_MEDIA = ("image", "video", "audio")


def chat_rows(
    records: Iterable[Row | LeftOut], left_out: LeftOuts, *, shape: str = ""
) -> Iterator[tuple[Row, ChatRow]]:
    """
    Yield each record with its chat.

    Args:
        records: Records, and those that could not be read.
        left_out: Receives the records that are left out.
        shape: Name of their shape; empty finds it by the columns.

    Raises:
        DataError: A record has a column that its shape does not use.
    """
    for record in records:
        if isinstance(record, LeftOut):
            left_out.add(record)
            continue
        try:
            row = read_row(record.value, shape)
        except RowFault as fault:
            left_out.add(LeftOut(record.line, reason(fault, record.file)))
            continue
        refuse_unused(record.value, NAMES[row.shape], f"{record.file}:{record.line}")
        yield record, row


def read_or_none(value: Mapping[str, Any], shape: str = "") -> ChatRow | None:
    """The chat of a record; None if it cannot be read."""
    try:
        return read_row(value, shape)
    except RowFault:
        return None


def refuse_unused(value: Mapping[str, Any], shape: Shape, where: str, *, is_mapped: bool = False) -> None:
    """
    Refuse a record with columns that would be lost.

    Args:
        value: The record.
        shape: Its shape, with the columns that are read.
        where: Location for the error.
        is_mapped: Whether the columns were named with --map.

    Raises:
        DataError: A column is not read, although other shapes have it, or it holds pictures or sound.
    """
    if unused := unused_columns(value, shape):
        by = "--map" if is_mapped else f"the shape {shape.name}"
        problem = f"the column {shorten(unused[0], 40)!r} is not used by {by} and would be lost"
        hint = with_file(unused_hint(unused, is_mapped=is_mapped), where.rpartition(":")[0])
        raise DataError(problem, where, hint)


def unused_hint(columns: list[str], *, is_mapped: bool = False) -> str:
    """A hint for columns that are not read."""
    media = any(column.startswith(_MEDIA) for column in columns)
    first = "write them as image_url or input_audio parts of a message; " if media else ""
    joined = [column for column in columns if column in CONTEXTS]
    if not media and (joined or is_mapped):
        columns_of_input = "+".join(["QUESTION", *(joined or ["OTHER"])])
        first = f"to show it to the model, join it: --map input={columns_of_input} --map output=ANSWER; "
    dropped = " ".join(f"--drop {shorten(column, 40)}" for column in columns)
    if "label" in columns and not is_mapped:
        first = "where it says that an answer is bad, remove the row first; "
    if is_mapped:
        return f"{first}to leave it out, add {dropped}"
    return f"{first}to leave it out: pytest-finetune data prepare FILE -o NEW.jsonl {dropped}"


def reason(fault: RowFault, file: str) -> str:
    """The reason why a record of a file is left out, with a hint."""
    return f"{fault.problem} ({with_file(fault.hint, file)})" if fault.hint else fault.problem
