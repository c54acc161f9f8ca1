"""The checkpoints of a job, evaluated with the same gates, and the best one that passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.outcome import outcome_of
from pytest_finetune.verdicts.metrics import Summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.evaluation.recorded import Recorded
    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint
    from pytest_finetune.verdicts.metrics.measure import Measure


@dataclass(frozen=True, slots=True)
class EvaluatedCheckpoint:
    """A checkpoint and its evaluation."""

    checkpoint: FineTuningCheckpoint
    recorded: Recorded

    @property
    def accuracy(self) -> Measure:
        """Accuracy over the cases of all eval sets together."""
        rows = tuple(row for result in self.recorded.results for row in result.summary.rows)
        return Summary(rows).value("accuracy")

    @property
    def passes(self) -> bool:
        """Whether every gate passes, and in eval sets without gates every case."""
        return outcome_of(self.recorded.results).status is Status.PASS

    @property
    def gates(self) -> tuple[int, int]:
        """The number of gates that pass, and of all gates."""
        statuses = [status for result in self.recorded.results for status in result.statuses]
        return sum(status == Status.PASS for status in statuses), len(statuses)


def best_checkpoint(judged: Iterable[EvaluatedCheckpoint]) -> EvaluatedCheckpoint | None:
    """
    The most accurate checkpoint of those that pass all gates; on a tie the earliest; None if none passes.

    Its accuracy is biased upwards, because the same cases chose it: the more checkpoints, the larger the bias
    ("winner's curse").
    """
    passing = [one for one in judged if one.passes]
    # On a tie `max` keeps the first, and checkpoints are in the order of their steps.
    return max(passing, key=lambda one: one.accuracy.exact or 0, default=None)
