"""Which column of a raw record goes where in a training example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ASKED = ("system_prompt", "input", "output")
"""What becomes the messages of an example."""

KEPT = ("id", "tags", "metadata", "group")
"""What OpenAI's format has no place for, and eval sets and `split` know."""

FIELDS = (*ASKED, *KEPT)


def read_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """
    The column of every field, from pairs such as `input=question`; a field without a pair is its own column.

    Raises:
        DataError: A pair is no pair, names an unknown field, or a field is named twice.
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not sign or not column:
            raise DataError(f"{pair!r} is no FIELD=COLUMN", "--map", "say, for instance, --map input=question")
        if field not in FIELDS:
            raise DataError(f"unknown field {field!r}", "--map", did_you_mean(field, FIELDS))
        if field in columns:
            raise DataError(f"field {field!r} is mapped twice", "--map", "one column for each field")
        columns[field] = column
    return {field: columns.get(field, field) for field in FIELDS}


def missing_column_hint(columns: Mapping[str, str], found: Iterable[str]) -> str:
    """What to do where a record has not the column that a field is looked for in."""
    names = ", ".join(map(repr, found)) or "none"
    return f"the record has {names}; say where it is: " + " ".join(
        f"--map {field}=COLUMN" for field in ("input", "output") if columns[field] == field
    )
