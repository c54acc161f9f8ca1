"""How much a model's confidence is worth: calibration, and accuracy where it is most confident."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, fsum, sqrt
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.metrics.measure import NOTHING_MEASURED, Measure, as_written, exact_sum
from pytest_finetune.verdicts.metrics.shares import passed_share
from pytest_finetune.verdicts.stats import Interval, rate_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.metrics.plan import CaseSamples

CONFIDENCE_METRICS = ("ece", "accuracy_at_coverage")
"""The metrics that need the probabilities of the answers."""

COVERAGES = (0.5, 0.8, 0.9)
"""Shares of the cases for which reports show the accuracy."""

BINS = 10
"""Bins of equal width in which the expected calibration error compares confidence with accuracy."""

_DIGITS = 12
"""Digits of a figure made of floating-point probabilities; beyond them is rounding."""


def without_probability(rows: Sequence[CaseSamples]) -> int:
    """The number of answers whose probability is not known."""
    return sum(completion.probability is None for row in rows for completion in row.completions)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """
    The answers whose probability is in one bin.

    Args:
        answers: Their number.
        right: How many passed.
        confidence: Their mean probability.
    """

    answers: int
    right: int
    confidence: float


def reliability(rows: Sequence[CaseSamples]) -> tuple[ReliabilityBin, ...]:
    """The bins that hold answers, in ascending order; none if the probability of any answer is not known."""
    answers = [sample for row in rows for sample in row.samples if sample and sample.completion and sample.score]
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for sample in answers:
        probability = sample.completion.probability if sample.completion else None
        if probability is None:
            return ()
        bins[max(ceil(probability * BINS), 1) - 1].append((probability, sample.state is State.PASSED))
    return tuple(
        ReliabilityBin(len(each), sum(right for _, right in each), fsum(p for p, _ in each) / len(each))
        for each in bins
        if each
    )


def calibration_error(rows: Sequence[CaseSamples], *, confidence: float, independent: float = 1.0) -> Measure:
    """
    The expected calibration error: how far the probability of an answer is from the share of right answers.

    The answers are put into `BINS` bins of equal width by their probability, ((b - 1) / BINS, b / BINS]. With n
    answers, of which n_b are in bin b, ECE = sum of n_b / n * |right_b / n_b - mean probability_b|. It is 0 if nine of
    ten answers given with 90 % are right. Chance alone makes it larger on average, the more so the fewer answers there
    are, and not smaller, so that a gate with `max` errs on the safe side.

    The interval takes the probabilities as given; repeats of a case do not make it shorter. In each bin the share of
    right answers has an exact interval, and so has its distance from the mean probability. The upper bound adds up the
    bins' distances as squares do, the lower one is the sum of the bins' lower bounds, at levels that hold for all of
    them together.

    Sources: Guo et al. (2017), On Calibration of Modern Neural Networks, equation 3, for the formula; Clopper and
    Pearson (1934) for the interval in a bin; Zou and Donner (2008) for the upper bound, Bonferroni for the lower one.

    Args:
        rows: The cases; the result is `NOTHING_MEASURED` if the probability of any answer is not known.
        confidence: Two-sided level of the interval, in (0, 1).
        independent: What a case is worth, in independent ones; below 1 if cases are in groups.
    """
    bins = reliability(rows)
    if not bins:
        return NOTHING_MEASURED
    n, repeats = sum(each.answers for each in bins), len(rows[0].samples) / independent
    value = fsum(abs(each.right - each.answers * each.confidence) for each in bins) / n
    below = 0.0
    above = 0.0
    for each in bins:
        gap = abs(each.right / each.answers - each.confidence)
        share = each.answers / n
        together = 1 - (1 - confidence) / len(bins)
        below += share * _distances(each, repeats, together)[0]
        above += (share * (_distances(each, repeats, confidence)[1] - gap)) ** 2
    interval = Interval(min(below, value), value + sqrt(above))
    return Measure(as_written(round(value, _DIGITS)), interval, n)


def _distances(each: ReliabilityBin, repeats: float, confidence: float) -> tuple[float, float]:
    """The smallest and the largest distance of the mean probability to a likely share of right answers."""
    likely = rate_interval(each.right / repeats, each.answers / repeats, confidence=confidence)
    below, above = each.confidence - likely.high, likely.low - each.confidence
    return max(below, above, 0.0), max(-below, -above)


def accuracy_at_coverage(
    rows: Sequence[CaseSamples], coverage: float, *, confidence: float, independent: float = 1.0
) -> Measure:
    """
    Accuracy of the most confident cases.

    Args:
        rows: The cases; the result is `NOTHING_MEASURED` if the probability of any answer is not known. An attempt
            without an answer has probability 0. Of cases with the same confidence, each counts with the same weight.
        coverage: Share of the cases that count, in (0, 1]; the number of cases is rounded up.
        confidence: Two-sided level of the interval, in (0, 1).
        independent: What a case is worth, in independent ones; below 1 if cases are in groups.

    Source: El-Yaniv and Wiener (2010), On the Foundations of Noise-free Selective Classification, for coverage and
    risk, which is 1 - accuracy.
    """
    if not rows or without_probability(rows):
        return NOTHING_MEASURED
    ranked = [(_confidence(row), passed_share(row)) for row in rows]
    count = ceil(as_written(coverage) * len(ranked))
    border = sorted((each for each, _ in ranked), reverse=True)[count - 1]
    surely = [share for each, share in ranked if each > border]
    tied = [share for each, share in ranked if each == border]
    total = exact_sum(surely) + exact_sum(tied) * Fraction(count - len(surely), len(tied))
    right, worth = float(total) * independent, count * independent
    return Measure(total / count, rate_interval(min(right, worth), worth, confidence=confidence), count)


def _confidence(row: CaseSamples) -> float:
    """The probabilities of the answers to a case; all cases have as many attempts."""
    return fsum(completion.probability or 0.0 for completion in row.completions)
