"""Converts raw records to training examples in OpenAI's chat format; unusable records are skipped with a reason."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json, type_name
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.chat_rows import reason, refuse_unused
from pytest_finetune.lifecycle.data.columns import KEPT, MESSAGE_FIELDS, ColumnMap, ColumnsSought
from pytest_finetune.lifecycle.data.json_output import CanonicalJson
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source
from pytest_finetune.verdicts.evalset.reading import LineFault, examine
from pytest_finetune.verdicts.shapes import NAMES, read_row
from pytest_finetune.verdicts.shapes.row import NO_CALL, RowFault

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.rows import Row
    from pytest_finetune.verdicts.shapes.row import ChatRow

_ANSWERS = {"chat": "the last message", "input-output": "output"}
"""What the answer is called in messages, by shape."""

_MARKS = {column: f"<{kind}>" for kind in ("image", "video", "audio") for column in (kind, f"{kind}s")}
"""What stands in a text for a picture, sound or video, by the column that has it."""

# Unused columns that are counted by name; bounds memory where each record has keys of its own.
_MAX_NAMES = 1000


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """
    How records become examples.

    Args:
        columns: Column of each mapped field, from `read_mapping`.
        system: System prompt of all examples; None keeps their own.
        json_output: Parse every answer as JSON and write it in canonical form; skip records whose answer is not
            strict JSON. Answers that are objects or lists are always written in canonical form.
        schema: JSON Schema whose properties set the order of keys.
        keep: Keep `id`, `tags`, `metadata`, `accept` and `group` (in `metadata`), which OpenAI's format does not have.
        shape: Name of the records' shape; empty finds it by their columns. Not used if `input` or `output` is mapped.
        drop: Columns to leave out.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    system: str | None = None
    json_output: bool = False
    schema: Any = None
    keep: bool = False
    shape: str = ""
    drop: Collection[str] = ()


@dataclass(slots=True)
class Prepared:
    """
    Counts of what was done with the records.

    Args:
        written: Examples written.
        left_out: Records that were skipped.
        replaced_system: Examples whose own system prompt was replaced.
        without_media: Examples from which the marks of dropped pictures, sound or video were removed.
        not_kept: Records with a field that was dropped, by field.
        unused: Records with a column that is not mapped to a field, by column.
    """

    written: int = 0
    left_out: LeftOuts = field(default_factory=LeftOuts)
    replaced_system: int = 0
    without_media: int = 0
    not_kept: Counter[str] = field(default_factory=Counter)
    unused: Counter[str] = field(default_factory=Counter)


def write_prepared(
    records: Iterable[Row | LeftOut], options: PrepareOptions, *, source: Path, target: Path, force: bool = False
) -> Prepared:
    """
    Write records as training examples, one per line; the target is written atomically.

    Args:
        records: Records of the source, from `read_raw`.
        options: How records become examples.
        source: File that the records are read from.
        target: File to write.
        force: Overwrite an existing target.

    Raises:
        DataError: The source cannot be read, the target cannot be written, no record is usable, or a column would
            be lost.
    """
    refuse_own_source(source, [target])
    prepared = Prepared()
    with new_files([target], force=force) as (file,):
        for example in prepare(records, options, prepared):
            file.write(compact_json(example).encode() + b"\n")
        if not prepared.written:
            raise prepared.left_out.nothing_left(source)
    return prepared


def prepare(records: Iterable[Row | LeftOut], options: PrepareOptions, prepared: Prepared) -> Iterator[dict[str, Any]]:
    """
    Convert records to training examples.

    Args:
        records: Records, and those that could not be read, which are counted as skipped.
        options: How records become examples.
        prepared: Counts to update while the examples are consumed.

    Raises:
        DataError: A record has a column that its shape does not use, or none has a column of `--map` or `--drop`.
    """
    maker = _Maker(options, prepared)
    for record in records:
        if isinstance(record, LeftOut):
            prepared.left_out.add(record)
            continue
        try:
            example = maker.example(record)
        except RowFault as fault:
            prepared.left_out.add(LeftOut(record.line, reason(fault, record.file)))
            continue
        prepared.written += 1
        yield example
    maker.close()


class _Maker:
    """Converts records one by one; JSON answers take their key order from earlier ones."""

    def __init__(self, options: PrepareOptions, prepared: Prepared) -> None:
        self._options, self._prepared = options, prepared
        self._json = CanonicalJson(options.schema)
        self._columns = ColumnMap(options.columns)
        self._is_mapped = any(name in options.columns for name in MESSAGE_FIELDS)
        self._sought = ColumnsSought(self._columns, options.columns, options.drop)
        self._dropped_media = _MARKS.keys() & {*options.drop}
        self._replaced = False

    def example(self, record: Row) -> dict[str, Any]:
        self._sought.add(record.value)
        value = {column: item for column, item in record.value.items() if column not in self._options.drop}
        self._replaced = False
        row = self._columns.read(value) if self._is_mapped else read_row(value, self._options.shape)
        shape = NAMES[row.shape]
        if self._is_mapped:
            shape = replace(shape, uses=self._columns.used(value))
        refuse_unused(value, shape, f"{record.file}:{record.line}", is_mapped=self._is_mapped)
        _refuse_unmatched(row)
        marks = {_MARKS[column] for column in self._dropped_media if record.value.get(column)}
        has_marks = bool(marks) and _remove(marks, row)
        example = self._written(row) | self._kept(value)
        self._prepared.without_media += has_marks
        self._count(value, shape.uses | row.reference.keys())
        return example

    def close(self) -> None:
        """Refuse columns that were named but that no record has."""
        if self._prepared.written:
            self._sought.refuse()

    def _count(self, value: dict[str, Any], used: Collection[str]) -> None:
        prepared = self._prepared
        prepared.replaced_system += self._replaced
        kept = {column for name in KEPT for column in self._columns.of(name, value)}
        if not self._options.keep:
            prepared.not_kept.update(self._extras(value).keys())
        for name in value.keys() - used - kept:
            if name in prepared.unused or len(prepared.unused) < _MAX_NAMES:
                prepared.unused[name] += 1

    def _written(self, row: ChatRow) -> dict[str, Any]:
        """The row in OpenAI's format for its kind: chat, preference or reinforcement."""
        if row.choices != 1:
            raise RowFault(f"{row.choices} acceptable answers, but a training row has one")
        prompt = self._with_system(row.prompt) if row.prompt else row.prompt
        tools: dict[str, Any] = {} if row.tools is None else {"tools": row.tools}
        if row.parallel_tool_calls is not None:
            tools["parallel_tool_calls"] = row.parallel_tool_calls
        if row.reference:
            return {"messages": prompt, **tools, **row.reference}
        answer = self._answer(row)
        if row.rejected:
            preferred = {"preferred_output": [answer], "non_preferred_output": row.rejected}
            return {"input": {"messages": prompt, **tools}, **preferred}
        return {"messages": [*prompt, answer], **tools}

    def _answer(self, row: ChatRow) -> dict[str, Any]:
        """The answer; JSON in canonical form if it was a value, or if all answers must be JSON."""
        text = row.answer.get("content")
        if not isinstance(text, str) or row.answer.get("tool_calls") or not (row.is_value or self._options.json_output):
            return row.answer
        name = self._options.columns.get("output") or _ANSWERS.get(row.shape, "the answer")
        try:
            parsed = parse_json(text)
            examine(text, parsed)
        except JsonFault as fault:
            raise RowFault(f"{name} is not strict JSON: {fault.problem}") from None
        except LineFault as fault:
            raise RowFault(f"{name}: {fault.problem}") from None
        return row.answer | {"content": self._json.write(parsed)}

    def _with_system(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        system = self._options.system
        if system is None:
            return messages
        first = messages[0]
        if first.get("role") not in ("system", "developer"):
            return [{"role": "system", "content": system}, *messages]
        if first.get("content") == system:
            return messages
        self._replaced = True
        return [{"role": first["role"], "content": system}, *messages[1:]]

    def _extras(self, value: dict[str, Any]) -> dict[str, Any]:
        found = {name: self._columns.get(name, value) for name in KEPT}
        return {name: item for name, item in found.items() if item not in (None, "")}

    def _kept(self, value: dict[str, Any]) -> dict[str, Any]:
        if not self._options.keep:
            return {}
        found = self._extras(value)
        metadata = found.get("metadata", {})
        if not isinstance(metadata, dict):
            raise RowFault(f"metadata is {type_name(metadata)}, not an object")
        if isinstance(tags := found.get("tags"), str):
            found["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
        if "group" in found:
            found["metadata"] = {**metadata, "group": found.pop("group")}
        return found


def _refuse_unmatched(row: ChatRow) -> None:
    """Refuse an answer of a function that the row does not call; no id could be written for it."""
    for index, message in enumerate(row.messages):
        name = message.get("tool_call_id")
        if message.get("role") == "tool" and isinstance(name, str) and name.startswith(NO_CALL):
            raise RowFault(f"messages[{index}] answers {name}", "use the name of the function that was called")


def _remove(marks: Collection[str], row: ChatRow) -> bool:
    """Remove marks from the texts of a row; whether there was one."""
    pattern = re.compile(f"(?:{'|'.join(sorted(marks))})(?:\\r?\\n| )?")
    found = False
    for message in [*row.messages, *row.rejected]:
        text = message.get("content")
        if isinstance(text, str) and (cleaned := pattern.sub("", text).strip()) != text.strip():
            if not cleaned:
                raise RowFault(
                    f"a message of role {message.get('role')!r} has nothing but {' or '.join(sorted(marks))}"
                )
            message["content"] = cleaned
            found = True
    return found
