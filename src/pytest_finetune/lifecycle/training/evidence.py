"""The facts about a fine-tuned model that a diagnosis is based on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.training.curves import Curves
from pytest_finetune.verdicts.stats import Interval, difference_interval, rate_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.base.records import FormatFailure

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """
    A rate over cases, such as accuracy or the share of format failures.

    Args:
        count: Sum over the cases of their share in [0, 1]; fractional where a case has several answers.
        cases: Planned cases, at least 1.
        worth: Independent cases that they are worth; None if no case is in a group.
    """

    count: float
    cases: int
    worth: float | None = None

    @property
    def value(self) -> float:
        """The rate, in [0, 1]."""
        return self.count / self.cases

    @property
    def interval(self) -> Interval:
        """The confidence interval of the rate, at the level `CONFIDENCE`."""
        return rate_interval(*self.independent, confidence=CONFIDENCE)

    @property
    def independent(self) -> tuple[float, float]:
        """Count and cases as the number of independent cases that they are worth."""
        return (self.count, self.cases) if self.worth is None else (self.value * self.worth, self.worth)

    def __str__(self) -> str:
        worth = "" if self.worth is None else f"; in groups, they count as {self.worth:,.0f}"
        reach = f"95 %: {self.interval.low:.3f} to {self.interval.high:.3f}"
        return f"{self.value:.3f} of {self.cases:,} cases ({reach}{worth})"


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """A checkpoint on the learning curve; None for a value that was not measured."""

    step: int
    model: str
    valid_loss: float | None = None
    accuracy: Rate | None = None


@dataclass(frozen=True, slots=True)
class DiagnosisEvidence:
    """
    Everything known about a model.

    Args:
        accuracy: Accuracy on the eval set.
        invalid: Rate of answers to the eval set with a format failure.
        failures: Number of format failures by kind.
        training: Accuracy on a sample of the training data, requested and scored the same way; None if unknown.
        unstable: Rate of cases whose repeated answers differ in shape; None if nothing was repeated.
        curves: Losses of the fine-tuning job.
        learning: Checkpoints in the order of their steps.
        missing: Planned answers that were never received, on the eval set or the training data.
    """

    accuracy: Rate
    invalid: Rate
    failures: Mapping[FormatFailure, int]
    training: Rate | None = None
    unstable: Rate | None = None
    curves: Curves = field(default_factory=Curves)
    learning: tuple[LearningPoint, ...] = ()
    missing: int = 0

    @property
    def gap(self) -> Interval | None:
        """Interval of the training accuracy minus the eval-set accuracy; None if the former is unknown."""
        if self.training is None:
            return None
        ours, theirs = self.training, self.accuracy
        return difference_interval(*ours.independent, *theirs.independent, confidence=CONFIDENCE)
