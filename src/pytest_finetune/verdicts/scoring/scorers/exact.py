"""`exact`: the whole answer equals an expected text after normalizing both. A prefix is never enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.scoring.answers import missed_text, missing_answer
from pytest_finetune.verdicts.scoring.texts import PASSED, TextScorer, difference

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case, Completion, Score


@dataclass(frozen=True, slots=True)
class ExactScorer(TextScorer):
    """Whole texts, compared after `normalize`."""

    name = "exact"

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if any expected text equals the answer."""
        if fault := missing_answer(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        for expected in case.expected:
            if self.normalize(expected) == answer:
                return PASSED
        return missed_text(completion, difference(case, completion))
