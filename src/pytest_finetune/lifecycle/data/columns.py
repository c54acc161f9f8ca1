"""Maps the columns of a raw record to the fields of a training example."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError, did_you_mean
from pytest_finetune.base.json_text import compact_json, type_name
from pytest_finetune.verdicts.shapes.row import ChatRow, RowFault, assistant, messages_in, system_in, text_in, user

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytest_finetune.base.json_text import Json

MESSAGE_FIELDS = ("system_prompt", "input", "output")
"""Fields that become the messages of an example."""

KEPT = ("id", "tags", "metadata", "group", "accept")
"""Fields that OpenAI's format does not have, but eval sets and `split` use."""

FIELDS = (*MESSAGE_FIELDS, *KEPT)

_LETTER = re.compile("[A-E]")
"""A column that is named like the letter of an option."""

_BETWEEN = "\n\n"
"""Separates the texts of two columns that become one field."""


def read_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """
    Map fields to columns, from pairs such as `input=question`; `input=title+body` joins two columns.

    Raises:
        DataError: A pair is malformed, or a field is unknown or mapped twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not sign or not column.strip("+"):
            raise DataError(f"{pair!r} is not FIELD=COLUMN", "--map", "such as --map input=question")
        if field not in FIELDS:
            raise DataError(f"unknown field {field!r}", "--map", did_you_mean(field, FIELDS))
        if field in columns:
            raise DataError(f"field {field!r} is mapped twice", "--map", f"to join columns: --map {field}=ONE+OTHER")
        columns[field] = column
    return columns


class ColumnMap:
    """
    Reads records by the columns that were named; a field that is not mapped has the column of its own name.

    Args:
        columns: Columns by field, from `read_mapping`.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns

    def of(self, field: str, value: Mapping[str, Any]) -> list[str]:
        """The columns of a record that make up a field; the name of a column may have a plus sign."""
        name = self._columns.get(field, field)
        return [name] if name in value or "+" not in name else [part for part in name.split("+") if part]

    def get(self, field: str, value: Mapping[str, Any]) -> Json:
        """
        A field of a record: a value, or the texts of several columns joined; None if there is none.

        Options of a question are joined with their letters, which its answer may be.

        Raises:
            RowFault: One of several columns is neither text nor options.
        """
        columns = self.of(field, value)
        if len(columns) == 1:
            return value.get(columns[0])
        given = [_text(column, value[column]) for column in columns if value.get(column) not in (None, "", [], {})]
        return _BETWEEN.join(given) if given else None

    def read(self, value: Mapping[str, Any]) -> ChatRow:
        """
        The chat of a record.

        Raises:
            RowFault: A column is missing or cannot be used.
        """
        system, prompt, answer = (self._named(field, value) for field in MESSAGE_FIELDS)
        (column, given), (label, answered) = prompt, (answer[0], _extracted(*answer))
        messages = (
            messages_in({column: given}, column) if isinstance(given, list) else [user(text_in(dict([prompt]), column))]
        )
        is_value = answered is not None and not isinstance(answered, str)
        text = compact_json(answered) if is_value else text_in({label: answered}, label)
        return ChatRow(
            "input-output", [*system_in(dict([system]), system[0]), *messages, assistant(text)], is_value=is_value
        )

    def used(self, value: Mapping[str, Any]) -> frozenset[str]:
        """The columns of a record that `read` reads."""
        return frozenset(column for field in MESSAGE_FIELDS for column in self.of(field, value))

    def _named(self, field: str, value: Mapping[str, Any]) -> tuple[str, Any]:
        """The name of a field's column in messages, and its value."""
        if field != "system_prompt" and value.keys().isdisjoint(self.of(field, value)):
            names = ", ".join(map(repr, value)) or "none"
            missing = " ".join(f"--map {each}=COLUMN" for each in ("input", "output") if each not in self._columns)
            hint = f"; name the column: {missing}" if missing else ""
            raise RowFault(f"no column {self._columns.get(field, field)!r}: the record has {names}{hint}")
        return self._columns.get(field, field), self.get(field, value)


def _extracted(column: str, answered: Json) -> Json:
    """The text of an answer with its place in the context, as SQuAD has it; any other answer unchanged."""
    if not (isinstance(answered, dict) and answered.keys() == {"text", "answer_start"}):
        return answered
    texts = list(dict.fromkeys(answered["text"])) if isinstance(answered["text"], list) else [answered["text"]]
    if len(texts) != 1:
        raise RowFault(f"{column} has {len(texts) or 'no'} texts, not one")
    text: Json = texts[0]
    return text


def _text(column: str, item: Json) -> str:
    """A column as a part of a text, with options one per line."""
    if isinstance(item, str):
        return f"{column}. {item}" if _LETTER.fullmatch(column) else item
    lines = _options(item)
    if lines is None:
        raise RowFault(f"{column} is {type_name(item)}, not text")
    return "\n".join(lines)


def _options(item: Json) -> list[str] | None:
    """The lines of `{"A": …}`, `["…"]`, `[{"key": "A", "value": …}]` or `{"label": ["A"], "text": […]}`."""
    if isinstance(item, dict) and isinstance(item.get("label"), list) and isinstance(item.get("text"), list):
        pairs: list[tuple[Json, Json]] = list(zip(item["label"], item["text"], strict=False))
    elif isinstance(item, dict):
        pairs = list(item.items())
    elif isinstance(item, list):
        pairs = [tuple(each.values()) if isinstance(each, dict) and len(each) == 2 else ("", each) for each in item]  # noqa: PLR2004
    else:
        return None
    if not all(isinstance(name, str) and isinstance(text, str) for name, text in pairs):
        return None
    return [f"{name}. {text}" if name else f"- {text}" for name, text in pairs]


class ColumnsSought:
    """The columns that the user named and that no record has had yet; those left at the end are misspelt."""

    def __init__(self, columns: ColumnMap, fields: Collection[str], dropped: Iterable[str]) -> None:
        self._columns, self._fields = columns, fields
        self._missing = {*dropped}
        self._first: dict[str, Any] | None = None

    def add(self, value: dict[str, Any]) -> None:
        """Remove the columns of a record."""
        if self._first is None:
            self._first = value
            self._missing.update(column for field in self._fields for column in self._columns.of(field, value))
        if self._missing:
            self._missing -= value.keys()

    def refuse(self) -> None:
        """
        Refuse a column that no record has.

        Raises:
            DataError: There is one.
        """
        for name in sorted(self._missing):
            raise DataError(
                f"no record has the column {name!r}", "--map or --drop", did_you_mean(name, self._first or ())
            )
