"""`contains`: the answer contains an expected text, after normalizing both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.scoring.answers import missed_text, missing_answer
from pytest_finetune.verdicts.scoring.texts import PASSED, TextScorer

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case, Completion, Score


@dataclass(frozen=True, slots=True)
class ContainsScorer(TextScorer):
    """Looks for texts in the answer, after `normalize`."""

    name = "contains"

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the answer contains any expected text."""
        if fault := missing_answer(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        for expected in case.expected:
            if self.normalize(expected) in answer:
                return PASSED
        wanted = f"expected {shorten(case.expected[0])!r} somewhere"
        return missed_text(completion, f"{wanted}, got {shorten(completion.text)!r}")
