"""What is known of a fine-tuned model: the facts that a diagnosis rests on."""

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
    A sum of shares over cases: right answers, or answers out of form.

    Args:
        count: Sum of the cases' shares, 0 <= count <= cases.
        cases: Planned cases, at least 1.
    """

    count: float
    cases: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.cases

    @property
    def interval(self) -> Interval:
        """What the evidence leaves possible."""
        return rate_interval(self.count, self.cases, confidence=CONFIDENCE)

    def __str__(self) -> str:
        return f"{self.value:.3f} of {self.cases:,} cases (95 %: {self.interval.low:.3f} to {self.interval.high:.3f})"


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """A checkpoint on the learning curve; None for what was not measured."""

    step: int
    model: str
    valid_loss: float | None = None
    accuracy: Rate | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    All that is known of a model.

    Args:
        accuracy: On the eval set.
        invalid: Answers to the eval set that are out of form.
        failures: How many, by kind.
        training: Accuracy on a sample of its training data, asked and scored the same way; None where it was not.
        unstable: Cases of the eval set whose repeated answers differ in shape; None where nothing was repeated.
        curves: The losses of its job.
        learning: Its checkpoints, in order.
        missing: Planned answers that never came, on either side.
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
        """Interval of the accuracy on training data minus that on the eval set; None without the former."""
        if self.training is None:
            return None
        ours, theirs = self.training, self.accuracy
        return difference_interval(ours.count, ours.cases, theirs.count, theirs.cases, confidence=CONFIDENCE)
