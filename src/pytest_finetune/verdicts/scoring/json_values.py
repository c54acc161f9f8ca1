"""Shared by the scorers that compare JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_compare import ABSENT, Difference, differences, field_counts, same_leaf
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.base.text import shown
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema

DEEP = "nested too deeply"


def schema_of(settings: EvalSettings, folder: Path) -> Schema | None:
    """The compiled schema of the settings; None if they have none."""
    if settings.json_schema is None:
        return None
    from pytest_finetune.verdicts.json_schema.validation import load_schema

    return load_schema(folder / settings.json_schema)


def leaf_equality(settings: EvalSettings) -> Callable[[Any, Any], bool]:
    """Equality of leaves: exact, or for strings after `normalize` if the settings contain it."""
    if "normalize" not in settings.model_fields_set:
        return same_leaf
    normalize = make_normalizer(settings.normalize)

    def same(expected: Any, got: Any) -> bool:
        if isinstance(expected, str) and isinstance(got, str):
            return normalize(expected) == normalize(got)
        return same_leaf(expected, got)

    return same


def expected_value(expected: Any) -> Any:
    """The value of an expected answer: text is parsed as JSON, anything else is the value itself."""
    return parse_json(expected) if isinstance(expected, str) else expected


def nearest(
    expected: list[Any], answer: Any, same: Callable[[Any, Any], bool]
) -> tuple[tuple[int, int], list[Difference]]:
    """Field counts and differences from the nearest expected value; of equally near ones, the first."""
    compared = [
        (field_counts(value, found), found) for value in expected for found in [[*differences(value, answer, same)]]
    ]
    return max(compared, key=lambda each: (not each[1], each[0][0] / each[0][1]))


def difference_text(difference: Difference) -> str:
    """A difference as one line."""
    values = (difference.expected, difference.got)
    expected, got = ("nothing" if value is ABSENT else shown(value) for value in values)
    return f"{difference.path}: expected {expected}, got {got}"
