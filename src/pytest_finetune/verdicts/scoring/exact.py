"""`exact`: the whole answer equals an expected text after normalizing both. A prefix is never enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.records import Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.taxonomy import missed_text, withheld

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

PASSED = Score(passed=True)


@dataclass(frozen=True, slots=True)
class ExactScorer:
    """Whole texts, compared after `normalize`."""

    normalize: Callable[[str], str]
    name: ClassVar[str] = "exact"
    blocking: ClassVar[bool] = False

    def check(self, case: Case) -> str | None:
        """An expected answer must be there, be text, and leave something after normalizing."""
        return unusable_text(case, self.normalize)

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed when any expected text equals the answer."""
        if fault := withheld(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        for expected in case.expected:
            if self.normalize(expected) == answer:
                return PASSED
        return missed_text(completion, difference(case, completion))


def make(settings: EvalSettings, folder: Path) -> ExactScorer:  # noqa: ARG001 - all scorers are made alike
    """An `exact` scorer."""
    return ExactScorer(make_normalizer(settings.normalize))


def unusable_text(case: Case, normalize: Callable[[str], str]) -> str | None:
    """Why the expected answers of a case cannot be compared as text; None when they can."""
    if not case.expected:
        return "no expected text" + (", only tool calls; use scorer 'tool_call'" if case.tool_calls else "")
    for expected in case.expected:
        if not isinstance(expected, str):
            return f"expected is a JSON {_kind(expected)} and not text; use scorer 'json'"
        if not normalize(expected).strip():
            return f"expected {expected!r} leaves nothing to compare with"
    return None


def difference(case: Case, completion: Completion) -> str:
    """One line that sets the answer against the first expected text."""
    return f"expected {shorten(case.expected[0])!r}, got {shorten(completion.text)!r}"


def _kind(value: object) -> str:
    from pytest_finetune.verdicts.scoring.shape import type_name

    return type_name(value)
