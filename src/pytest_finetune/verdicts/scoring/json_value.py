"""`json`: the answer is the expected JSON value, and where a schema is set, valid under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten, shown
from pytest_finetune.verdicts.scoring.json_compare import (
    ABSENT,
    Difference,
    differences,
    field_counts,
    leaves,
    same_leaf,
)
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.shape import shape
from pytest_finetune.verdicts.scoring.taxonomy import FormatFault, read_json, truncated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.scoring.schema_validation import Schema

DEEP = "nested too deeply"


@dataclass(frozen=True, slots=True)
class JsonScorer:
    """
    JSON values, compared leaf by leaf.

    Args:
        same: Whether two leaves are equal.
        schema: What an answer must satisfy to be valid; None asks for JSON only.
    """

    same: Callable[[Any, Any], bool]
    schema: Schema | None
    name: ClassVar[str] = "json"
    blocking: ClassVar[bool] = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the schema."""
        return self.schema.warnings if self.schema else ()

    def check(self, case: Case) -> str | None:
        """Every expected answer must be strict JSON and satisfy the schema."""
        if not case.expected:
            return "no expected JSON value" + (", only tool calls; use scorer 'tool_call'" if case.tool_calls else "")
        return next(filter(None, map(self._unusable, case.expected)), None)

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed when the answer is valid and equals any expected value; else told against the nearest one."""
        try:
            answer = read_json(completion)
            return self._compare([expected_value(expected) for expected in case.expected], answer, completion)
        except FormatFault as fault:
            return fault.score((0, leaves(expected_value(case.expected[0]))))
        except RecursionError:
            return FormatFault(FormatFailure.NOT_JSON, DEEP).score((0, leaves(expected_value(case.expected[0]))))

    def _compare(self, expected: list[Any], answer: Any, completion: Completion) -> Score:
        counts, found = nearest(expected, answer, self.same)
        if self.schema and (fault := self.schema.fault(answer)):
            return (truncated(completion) or fault).score(counts)
        if not found:
            return Score(passed=True, fields=counts, shape=shape(answer))
        first = found[0]
        return Score(passed=False, path=first.path, detail=told(first), fields=counts, shape=shape(answer))

    def _unusable(self, expected: Any) -> str | None:
        try:
            value = expected_value(expected)
            shape(value)
        except JsonFault as unread:
            return f"expected {shorten(expected)!r} is not JSON: {unread.problem}"
        except RecursionError:
            return f"expected is {DEEP}"
        fault = self.schema.fault(value) if self.schema else None
        return f"expected does not satisfy the schema: {fault.path}: {fault.problem}" if fault else None


def make(settings: EvalSettings, folder: Path) -> JsonScorer:
    """
    A `json` scorer.

    Raises:
        ScorerError: The schema file cannot be used.
    """
    return JsonScorer(leaf_equality(settings), schema_of(settings, folder))


def schema_of(settings: EvalSettings, folder: Path) -> Schema | None:
    """The schema that the settings name, compiled; None where they name none."""
    if settings.json_schema is None:
        return None
    from pytest_finetune.verdicts.scoring.schema_validation import load_schema

    return load_schema(folder / settings.json_schema)


def leaf_equality(settings: EvalSettings) -> Callable[[Any, Any], bool]:
    """Equality of leaves: exact, or of strings after `normalize` where the settings ask for it in so many words."""
    if "normalize" not in settings.model_fields_set:
        return same_leaf
    normalize = make_normalizer(settings.normalize)

    def same(expected: Any, got: Any) -> bool:
        if isinstance(expected, str) and isinstance(got, str):
            return normalize(expected) == normalize(got)
        return same_leaf(expected, got)

    return same


def expected_value(expected: Any) -> Any:
    """The value that an expected answer stands for: text is JSON text, anything else is the value itself."""
    return parse_json(expected) if isinstance(expected, str) else expected


def nearest(
    expected: list[Any], answer: Any, same: Callable[[Any, Any], bool]
) -> tuple[tuple[int, int], list[Difference]]:
    """Field counts and differences against the expected value that the answer comes nearest to, the first of equals."""
    compared = [
        (field_counts(value, found), found) for value in expected for found in [[*differences(value, answer, same)]]
    ]
    return max(compared, key=lambda each: (not each[1], each[0][0] / each[0][1]))


def told(difference: Difference) -> str:
    """A difference as one line."""
    if difference.got is ABSENT:
        return f"{difference.path}: expected {shown(difference.expected)}, got nothing"
    if difference.expected is ABSENT:
        return f"{difference.path}: expected nothing, got {shown(difference.got)}"
    return f"{difference.path}: expected {shown(difference.expected)}, got {shown(difference.got)}"
