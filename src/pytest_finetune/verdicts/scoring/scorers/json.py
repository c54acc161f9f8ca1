"""`json`: the answer is the expected JSON value, and where a schema is set, valid under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_finetune.base.diff import json_diff
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_compare import leaves
from pytest_finetune.base.json_shape import shape
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.field_paths import paths_of
from pytest_finetune.verdicts.scoring.answers import read_json, truncated
from pytest_finetune.verdicts.scoring.fields import FieldRules, FieldsOptions, accept_fault
from pytest_finetune.verdicts.scoring.json_values import (
    DEEP,
    difference_text,
    expected_value,
    field_rules,
    nearest,
    settings_schema,
    wrong_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.json_schema.validation import Schema
    from pytest_finetune.verdicts.scoring.options import OptionFault


@dataclass(frozen=True, slots=True)
class JsonScorer(Scorer):
    """
    JSON values, compared leaf by leaf.

    Args:
        rules: Whether two leaves are equal, and how single fields are compared.
        schema: What an answer must satisfy to be valid; None asks for JSON only.
    """

    rules: FieldRules
    schema: Schema | None = None
    name = "json"
    settings: ClassVar = frozenset({"normalize", "schema"})
    options: ClassVar = FieldsOptions
    accepts: ClassVar = True
    metrics: ClassVar = frozenset({"field_accuracy", "valid_rate", "format_stability"})
    fence: ClassVar = "json"
    holds_json: ClassVar = True
    explains_by_path: ClassVar = True

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `schema`, `fields`, and `normalize` for strings where it is set.

        Raises:
            ScorerError: The schema file cannot be used, or a library is missing.
        """
        rules = field_rules(settings, FieldsOptions.model_validate(settings.scorer_options))
        return cls(rules, settings_schema(settings, folder))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the schema."""
        return self.schema.warnings if self.schema else ()

    def check(self, case: Case) -> str | None:
        """Every expected answer must be strict JSON, satisfy the schema and have fields that compare as asked."""
        if not case.expected:
            return "no expected JSON value" + (", only tool calls; use scorer 'tool_call'" if case.tool_calls else "")
        if problem := next(filter(None, map(self._unusable, case.expected)), None):
            return problem
        return accept_fault(case.accept, _paths(case)) if case.accept else None

    def faults(self, cases: Sequence[Case]) -> Iterator[OptionFault]:
        """Fields that no case has."""
        return self.rules.faults({path for case in cases for path in _paths(case)}) if self.rules.fields else iter(())

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the answer is valid and equals any expected value; else compared with the nearest one."""
        try:
            answer = read_json(completion)
            return self._compare(case, answer, completion)
        except FormatFault as fault:
            return fault.score((0, leaves(expected_value(case.expected[0]))))
        except RecursionError:
            return FormatFault(FormatFailure.NOT_JSON, DEEP, undecided=True).score(
                (0, leaves(expected_value(case.expected[0])))
            )

    def explain(self, case: Case, completion: Completion) -> list[str]:
        """One line per path that differs; the texts' difference if the answer is not JSON."""
        try:
            judge = self.rules.judge(case.accept)
            return json_diff(expected_value(case.expected[0]), parse_json(completion.text), judge)
        except (JsonFault, IndexError):
            return Scorer.explain(self, case, completion)

    def _compare(self, case: Case, answer: Any, completion: Completion) -> Score:
        expected = [expected_value(each) for each in case.expected]
        counts, found = nearest(expected, answer, self.rules, case.accept)
        if self.schema and (fault := self.schema.fault(answer)):
            return (truncated(completion) or fault).score(counts)
        if not found:
            return Score(passed=True, fields=counts, shape=shape(answer))
        return Score(
            passed=False,
            path=found[0].path,
            detail=difference_text(found[0]),
            fields=counts,
            wrong=wrong_paths(found),
            shape=shape(answer),
        )

    def _unusable(self, expected: Any) -> str | None:
        try:
            value = expected_value(expected)
            shape(value)
        except JsonFault as unread:
            return f"expected {shorten(expected)!r} is not JSON: {unread.problem}"
        except RecursionError:
            return f"expected is {DEEP}"
        if fault := self.schema.fault(value) if self.schema else None:
            return f"expected does not satisfy the schema: {fault.path}: {fault.problem}"
        return self.rules.unusable(dict(paths_of(value))) if self.rules.fields else None


def _paths(case: Case) -> list[str]:
    return [path for expected in case.expected for path, _ in paths_of(expected_value(expected))]
