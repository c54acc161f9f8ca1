"""Converts raw records to training examples in OpenAI's chat format; unusable records are skipped with a reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.lifecycle.data.columns import KEPT, MESSAGE_FIELDS, missing_column_hint, read_mapping
from pytest_finetune.lifecycle.data.json_output import CanonicalJson
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts
from pytest_finetune.lifecycle.data.tokens import compact_json
from pytest_finetune.lifecycle.data.writing import new_files, refuse_own_source
from pytest_finetune.verdicts.evalset.reading import LineFault, examine, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.lifecycle.data.rows import Row

_CHAT = ("messages", "tools", "parallel_tool_calls")
# Unused columns that are counted by name; bounds memory where each record has keys of its own.
_MAX_NAMES = 1000


class _Unusable(ValueError):  # noqa: N818 - a reason to skip a record, not an error that is shown
    """Why a record cannot become an example."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """
    How records become examples.

    Args:
        columns: Column of each field, from `read_mapping`.
        system: System prompt of all examples; None keeps their own.
        json_output: Parse every answer as JSON and write it in canonical form; skip records whose answer is not
            strict JSON. Answers that are objects or lists are always written in canonical form.
        schema: JSON Schema whose properties set the order of keys.
        keep: Keep `id`, `tags`, `metadata` and `group` (in `metadata`), which are not part of OpenAI's format.
    """

    columns: Mapping[str, str] = field(default_factory=lambda: read_mapping(()))
    system: str | None = None
    json_output: bool = False
    schema: Any = None
    keep: bool = False


@dataclass(slots=True)
class Prepared:
    """
    Counts of what was done with the records.

    Args:
        written: Examples written.
        left_out: Records that were skipped.
        replaced_system: Examples whose own system prompt was replaced.
        not_kept: Records with a field that was dropped, by field.
        unused: Records with a column that is not mapped to a field, by column.
    """

    written: int = 0
    left_out: LeftOuts = field(default_factory=LeftOuts)
    replaced_system: int = 0
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
        DataError: The source cannot be read, the target cannot be written, or no record is usable.
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
    """
    maker = _Maker(options, prepared)
    for record in records:
        if isinstance(record, LeftOut):
            prepared.left_out.add(record)
            continue
        try:
            example = maker.example(record.value)
        except _Unusable as reason:
            prepared.left_out.add(LeftOut(record.line, str(reason)))
            continue
        prepared.written += 1
        yield example


class _Maker:
    """Converts one record after the other; the key order of JSON answers is carried over from earlier ones."""

    def __init__(self, options: PrepareOptions, prepared: Prepared) -> None:
        self._options, self._prepared = options, prepared
        self._json = CanonicalJson(options.schema)
        self._used = {options.columns[name] for name in (*MESSAGE_FIELDS, *KEPT)}
        self._replaced = False

    def example(self, value: dict[str, Any]) -> dict[str, Any]:
        chat = "messages" in value and "messages" not in self._used
        self._replaced = False
        example = (self._from_chat(value) if chat else self._from_fields(value)) | self._kept(value)
        self._count(value, known=self._used.union(_CHAT) if chat else self._used)
        return example

    def _count(self, value: dict[str, Any], known: set[str]) -> None:
        prepared = self._prepared
        prepared.replaced_system += self._replaced
        if not self._options.keep:
            prepared.not_kept.update(self._extras(value).keys())
        for name in value.keys() - known:
            if name in prepared.unused or len(prepared.unused) < _MAX_NAMES:
                prepared.unused[name] += 1

    def _from_chat(self, value: dict[str, Any]) -> dict[str, Any]:
        messages = value["messages"]
        if not (isinstance(messages, list) and messages and all(isinstance(each, dict) for each in messages)):
            raise _Unusable(f"messages is {type_name(messages)}, not a list of messages")
        messages = self._with_system(messages)
        answer = messages[-1]
        if answer.get("role") == "assistant" and isinstance(answer.get("content"), str) and "tool_calls" not in answer:
            messages = [*messages[:-1], answer | {"content": self._answer(answer["content"], "the last message")}]
        return {name: value[name] for name in _CHAT if name in value} | {"messages": messages}

    def _from_fields(self, value: dict[str, Any]) -> dict[str, Any]:
        given = self._field(value, "input")
        if isinstance(given, list) and given and all(isinstance(each, dict) for each in given):
            prompt = list(given)
        else:
            prompt = [{"role": "user", "content": self._text(given, "input")}]
        answer = self._answer(self._field(value, "output"), self._options.columns["output"])
        system = value.get(self._options.columns["system_prompt"])
        if system not in (None, ""):
            prompt.insert(0, {"role": "system", "content": self._text(system, "system_prompt")})
        return {"messages": [*self._with_system(prompt), {"role": "assistant", "content": answer}]}

    def _field(self, value: dict[str, Any], name: str) -> Any:
        column = self._options.columns[name]
        if column not in value:
            raise _Unusable(f"no column {column!r}: {missing_column_hint(self._options.columns, value)}")
        return value[column]

    def _text(self, value: Any, name: str) -> str:
        column = self._options.columns[name]
        if not isinstance(value, str):
            raise _Unusable(f"{column} is {type_name(value)}, not text")
        if not value.strip():
            raise _Unusable(f"{column} is empty")
        return value

    def _answer(self, value: Any, name: str) -> str:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise _Unusable(f"{name} is {'null' if value is None else 'empty'}")
        if not isinstance(value, str):
            return self._json.write(value)
        if not self._options.json_output:
            return value
        try:
            parsed = parse_json(value)
            examine(value, parsed)
        except JsonFault as fault:
            raise _Unusable(f"{name} is not strict JSON: {fault.problem}") from None
        except LineFault as fault:
            raise _Unusable(f"{name}: {fault.problem}") from None
        return self._json.write(parsed)

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
        columns = {name: self._options.columns[name] for name in KEPT}
        return {name: value[column] for name, column in columns.items() if value.get(column) not in (None, "")}

    def _kept(self, value: dict[str, Any]) -> dict[str, Any]:
        if not self._options.keep:
            return {}
        found = self._extras(value)
        metadata = found.get("metadata", {})
        if not isinstance(metadata, dict):
            raise _Unusable(f"metadata is {type_name(metadata)}, not an object")
        if isinstance(tags := found.get("tags"), str):
            found["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
        if "group" in found:
            found["metadata"] = {**metadata, "group": found.pop("group")}
        return found
