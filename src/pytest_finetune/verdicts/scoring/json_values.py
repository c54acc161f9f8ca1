"""Shared by the scorers that compare JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_compare import ABSENT, Difference, differences, field_counts, same_leaf
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.base.text import shown
from pytest_finetune.verdicts.scoring.fields import FieldRules, check_fuzzy
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema
    from pytest_finetune.verdicts.scoring.fields import FieldsOptions

DEEP = "nested too deeply"


def settings_schema(settings: EvalSettings, folder: Path) -> Schema | None:
    """The compiled schema of the settings; None if they have none."""
    if settings.json_schema is None:
        return None
    from pytest_finetune.verdicts.json_schema.validation import load_schema

    return load_schema(folder / settings.json_schema)


MOST_PATHS = 1000
"""Wrong paths that are recorded for one answer; with more, or longer ones, the whole answer counts as wrong."""

_LONGEST_PATH = 500


def field_rules(settings: EvalSettings, options: FieldsOptions, *, calls: bool = False) -> FieldRules:
    """
    How the settings compare fields: `normalize` where it is set, and the tables of single fields.

    Raises:
        ScorerError: A field is compared with a library that is not installed.
    """
    check_fuzzy(options.fields)
    return FieldRules(options.fields, leaf_equality(settings), text_normalizer(settings), calls)


def wrong_paths(found: Sequence[Difference]) -> tuple[str, ...]:
    """The paths that differ, of a bounded length in all: an answer may hold any number of them."""
    paths = tuple(dict.fromkeys(difference.path for difference in found))
    return ("$",) if len(paths) > MOST_PATHS or max(map(len, paths)) > _LONGEST_PATH else paths


def text_normalizer(settings: EvalSettings) -> Callable[[str], str]:
    """What is applied to strings in JSON values: nothing unless `normalize` is set."""
    return make_normalizer(settings.normalize) if "normalize" in settings.model_fields_set else str


def leaf_equality(settings: EvalSettings) -> Callable[[Any, Any], bool]:
    """Equality of leaves: exact, or for strings after `normalize` if the settings contain it."""
    if "normalize" not in settings.model_fields_set:
        return same_leaf
    normalize = text_normalizer(settings)

    def same(expected: Any, got: Any) -> bool:
        if isinstance(expected, str) and isinstance(got, str):
            return normalize(expected) == normalize(got)
        return same_leaf(expected, got)

    return same


def expected_value(expected: Any) -> Any:
    """The value of an expected answer: text is parsed as JSON, anything else is the value itself."""
    return parse_json(expected) if isinstance(expected, str) else expected


def nearest(
    expected: list[Any], answer: Any, rules: FieldRules, accept: Mapping[str, Any]
) -> tuple[tuple[int, int], list[Difference]]:
    """Field counts and differences from the nearest expected value; of equally near ones, the first."""
    judge = rules.judge(accept)
    compared = [
        (field_counts(value, found), found)
        for value in expected
        for found in [[*differences(value, answer, rules.same, judge=judge)]]
    ]
    return max(compared, key=lambda each: (not each[1], each[0][0] / each[0][1]))


def difference_text(difference: Difference) -> str:
    """A difference as one line."""
    values = (difference.expected, difference.got)
    expected, got = ("nothing" if value is ABSENT else shown(value) for value in values)
    return f"{difference.path}: expected {expected}, got {got}"
