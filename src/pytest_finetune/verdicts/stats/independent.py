"""Confidence interval of the difference of two independent pass rates."""

from __future__ import annotations

from math import hypot

from pytest_finetune.verdicts.stats.interval import Interval
from pytest_finetune.verdicts.stats.rates import wilson_interval


def difference_interval(
    first: float, first_planned: float, second: float, second_planned: float, *, confidence: float = 0.95
) -> Interval:
    """
    Hybrid score interval of the difference of two independent pass rates, first minus second.

    Args:
        first: Successes of the first sample, 0 <= first <= first_planned; may be a fraction.
        first_planned: Its trials, above 0; count cases, not repeats of one case.
        second: Successes of the second sample.
        second_planned: Its trials, above 0.
        confidence: Two-sided level in (0, 1).

    Returns:
        Lower and upper bound, each in [-1, 1].

    Raises:
        ValueError: Nothing was planned on a side, or more passed than were planned.

    Source: Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.
    """
    a = wilson_interval(first, first_planned, confidence=confidence)
    b = wilson_interval(second, second_planned, confidence=confidence)
    p, q = first / first_planned, second / second_planned
    return Interval(p - q - hypot(p - a.low, b.high - q), p - q + hypot(a.high - p, q - b.low))
