"""The result of one eval set for one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import BaselineRecord
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.rule import Rule


@dataclass(frozen=True, slots=True)
class SetResult:
    """
    The result of one eval set.

    Args:
        eval_set: The set.
        model: The target's spec.
        summary: Figures over the whole plan.
        verdicts: One per gate, or one for the implied rule of a set without gates.
        unneeded: Planned samples not requested because the verdicts were already decided.
        baseline: Name of the baseline; empty without one.
        baseline_record: The baseline, for the manifest; None without one.
        comparison: With the baseline; None if the two cannot be compared.
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
    def name(self) -> str:
        """The name of the set."""
        return self.eval_set.name

    @property
    def gated(self) -> bool:
        """The set has gates; without any, every case must pass."""
        return bool(self.eval_set.settings.gates)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses of its verdicts."""
        return tuple(verdict.status for verdict in self.verdicts)

    @property
    def rules(self) -> tuple[tuple[Rule, int], ...]:
        """What each gate demands, with the number of cases that it covers."""
        return tuple((verdict.rule, verdict.n) for verdict in self.verdicts)

    @property
    def unrun(self) -> int:
        """Planned samples that are missing and needed."""
        return self.summary.counts[State.UNRUN] - self.unneeded

    @property
    def complete(self) -> bool:
        """Every planned sample has ended or was not needed, with no more errors than the set or its gates allow."""
        tolerated = self.summary.counts[State.ERROR] <= self.eval_set.settings.max_errors
        return not self.unrun and (tolerated or all(v.status is not Status.INCOMPLETE for v in self.verdicts))
