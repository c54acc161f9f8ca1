"""How one eval set went for one model, and what that means for the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.outcome import JudgedSet, Outcome, outcome_of_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.evaluation.runs import BaselineRecord
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.metrics import Summary


@dataclass(frozen=True, slots=True)
class SetResult:
    """
    What came of one eval set.

    Args:
        eval_set: The set.
        model: The target's spec.
        summary: Figures over the whole plan.
        verdicts: One for each gate, or for the rule that is implied when there is none.
        unneeded: Planned samples that were left unasked because the verdicts were bound without them.
        baseline: Name of the run or model it was compared with; empty when there was none.
        baseline_record: Whose answers those were, for the manifest; None when there was none.
        comparison: With the baseline; None where the two cannot be compared.
        not_compared: Why not, in one clause.
    """

    eval_set: EvalSet
    model: str
    summary: Summary
    verdicts: tuple[Verdict, ...]
    unneeded: int = 0
    baseline: str = ""
    baseline_record: BaselineRecord | None = None
    comparison: Comparison | None = None
    not_compared: str = ""

    @property
    def unrun(self) -> int:
        """Planned samples that are missing and needed."""
        return self.summary.counts[State.UNRUN] - self.unneeded

    @property
    def complete(self) -> bool:
        """Every planned sample ended or was not needed, with no more errors than the set or its gates allow."""
        tolerated = self.summary.counts[State.ERROR] <= self.eval_set.settings.max_errors
        return not self.unrun and (tolerated or all(v.status is not Status.INCOMPLETE for v in self.verdicts))


def outcome_of(results: Sequence[SetResult]) -> Outcome:
    """What came of one model of a session over all its sets."""
    judged = [
        JudgedSet(bool(one.eval_set.settings.gates), tuple(v.status for v in one.verdicts), one.summary)
        for one in results
    ]
    return outcome_of_sets(judged, early=any(result.unneeded for result in results))
