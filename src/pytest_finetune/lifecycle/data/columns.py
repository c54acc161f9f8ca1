"""Maps the columns of a raw record to the fields of a training example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MESSAGE_FIELDS = ("system_prompt", "input", "output")
"""Fields that become the messages of an example."""

KEPT = ("id", "tags", "metadata", "group")
"""Fields that OpenAI's format does not have, but eval sets and `split` use."""

FIELDS = (*MESSAGE_FIELDS, *KEPT)


def read_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """
    Map every field to a column, from pairs such as `input=question`; the default column is the field's own name.

    Raises:
        DataError: A pair is malformed, or a field is unknown or mapped twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not sign or not column:
            raise DataError(f"{pair!r} is not FIELD=COLUMN", "--map", "such as --map input=question")
        if field not in FIELDS:
            raise DataError(f"unknown field {field!r}", "--map", did_you_mean(field, FIELDS))
        if field in columns:
            raise DataError(f"field {field!r} is mapped twice", "--map", "map each field once")
        columns[field] = column
    return {field: columns.get(field, field) for field in FIELDS}


def missing_column_hint(columns: Mapping[str, str], found: Iterable[str]) -> str:
    """Suggest `--map` for a record that lacks a field's column."""
    names = ", ".join(map(repr, found)) or "none"
    return f"the record has {names}; name the column: " + " ".join(
        f"--map {field}=COLUMN" for field in ("input", "output") if columns[field] == field
    )
