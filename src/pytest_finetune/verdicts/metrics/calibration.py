"""How well a judge agrees with people, and the pass rate corrected for its errors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.metrics.measure import Measure, exact_sum
from pytest_finetune.verdicts.stats.imperfect import (
    corrected_interval,
    corrected_rate,
    informedness_interval,
    share_of_part,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.metrics.plan import CaseSamples
    from pytest_finetune.verdicts.metrics.summary import Summary
    from pytest_finetune.verdicts.stats import Interval

JUDGED_METRICS = ("accuracy", "win_rate")
"""The metrics that a judge's verdicts are counted in."""

FEWEST = 20
"""Labelled answers of each kind, right and wrong, that a calibration needs at least."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """
    The agreement of a judge with people over labelled answers.

    Args:
        right: Answers that people call right: how many the judge passes, and how many there are. Of pairs, those where
            people prefer the answer: how many it wins, a tie being half a win.
        wrong: Answers that people call wrong: how many the judge does not pass, and how many there are.
        problem: Why it is missing or belongs to another judge, in one clause; empty if it does not.
        model, base_url: What was asked, to be compared with what a run asks.
        answered_by: The names that the judge's server answered under.
    """

    right: tuple[float, int] = (0, 0)
    wrong: tuple[float, int] = (0, 0)
    problem: str = ""
    model: str = ""
    base_url: str = ""
    answered_by: tuple[str, ...] = ()

    @property
    def fault(self) -> str:
        """Why no gate may use it, in one clause; empty if gates may."""
        if self.problem:
            return self.problem
        if min(self.right[1], self.wrong[1]) < FEWEST:
            found = f"{self.right[1]} right and {self.wrong[1]} wrong"
            return f"there are {found} labelled answers, and {FEWEST} of each are needed"
        if informedness_interval(self.right, self.wrong).low <= 0:
            return f"the judge is not better than chance: {self}"
        return ""

    @property
    def counts(self) -> str:
        """All that a correction depends on, in words."""
        (right, of_right), (wrong, of_wrong) = self.right, self.wrong
        return f"right {right:g} of {of_right}, wrong {wrong:g} of {of_wrong}"

    @property
    def sensitivity(self) -> Fraction:
        """Share of the right answers that the judge passes."""
        return Fraction(self.right[0]) / self.right[1]

    @property
    def specificity(self) -> Fraction:
        """Share of the wrong answers that the judge does not pass."""
        return Fraction(self.wrong[0]) / self.wrong[1]

    def __str__(self) -> str:
        return f"sensitivity {float(self.sensitivity):.3f}, specificity {float(self.specificity):.3f}"

    def corrected(self, metric: str, summary: Summary, confidence: float, *, times: float = 1.0) -> Measure:
        """
        Accuracy or win rate, corrected for the judge's errors.

        Answers that were not judged, because there is no text or an error, are wrong whatever the judge.

        Args:
            metric: One of `JUDGED_METRICS`.
            summary: The figures of the cases, as the judge sees them.
            confidence: Confidence level of the interval.
            times: Factor on the number of cases, to estimate how many would be needed.

        Raises:
            ValueError: The calibration has a fault, or there are no cases.
        """
        if self.fault:
            raise ValueError(self.fault)
        rows = summary.rows
        judged = exact_sum([_judged_share(row) for row in rows])
        passed = exact_sum(summary.shares(metric))
        if not judged:
            return Measure(Fraction(0), summary.value(metric, confidence=confidence).interval, len(rows))
        times *= summary.worth(metric, confidence=confidence) / len(rows)
        rate = corrected_rate(passed / judged, self.sensitivity, self.specificity)
        interval = self._interval(float(passed) * times, float(judged) * times, confidence)
        if judged < len(rows):
            part, whole = float(judged) * times, len(rows) * times
            interval = share_of_part(part, whole, float(rate), interval, confidence=confidence)
        return Measure(rate * judged / len(rows), interval, len(rows))

    def _interval(self, passed: float, judged: float, confidence: float) -> Interval:
        return corrected_interval(min(passed, judged), judged, self.right, self.wrong, confidence=confidence)


def _judged_share(row: CaseSamples) -> Fraction:
    """Share of the attempts that the judge gave a verdict on."""
    scored = [sample for sample in row.samples if sample and sample.state in (State.PASSED, State.MISSED)]
    # Other scorers of the set may have asked about answers that this one did not.
    judged = [sample for sample in scored if any(not reply.scorer for reply in sample.replies)]
    return Fraction(len(judged), len(row.samples))
