"""Every checkpoint of a job under the same gates, and the best one that passes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.evaluation.results import outcome_of
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.metrics import Summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.evaluation.recorded import Recorded
    from pytest_finetune.lifecycle.training.job import JobCheckpoint
    from pytest_finetune.verdicts.metrics.measure import Measure


@dataclass(frozen=True, slots=True)
class Judged:
    """A model that a job left behind, and what came of it under the gates."""

    checkpoint: JobCheckpoint
    recorded: Recorded

    @property
    def accuracy(self) -> Measure:
        """Over the cases of all eval sets together."""
        rows = tuple(row for result in self.recorded.results for row in result.summary.rows)
        return Summary(rows).value("accuracy")

    @property
    def passes(self) -> bool:
        """Every gate of every set passes; of a set without gates, every case."""
        return outcome_of(self.recorded.results).status is Status.PASS

    @property
    def gates(self) -> tuple[int, int]:
        """How many gates pass, and of how many."""
        statuses = [verdict.status for result in self.recorded.results for verdict in result.verdicts]
        return sum(status is Status.PASS for status in statuses), len(statuses)


def best_of(judged: Iterable[Judged]) -> Judged | None:
    """
    The most accurate one of those that pass all gates; of equals the earliest; None where none passes.

    Picking the best of several by the same cases flatters it, the more, the more there are: its accuracy is that of
    the luckiest as well as of the best.
    """
    passing = [one for one in judged if one.passes]
    # `max` keeps the first of equals, and checkpoints come in the order of their steps.
    return max(passing, key=lambda one: one.accuracy.exact or 0, default=None)
