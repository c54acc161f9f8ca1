"""The value of a metric, kept as a fraction so that rounding cannot move it across a bar."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats import rate_interval
from pytest_finetune.verdicts.stats.groups import effective_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.stats import Interval


@dataclass(frozen=True, slots=True)
class Measure:
    """
    The value of a metric.

    Args:
        exact: The value as a fraction; None without data.
        interval: Confidence interval; None if there is no reliable one.
        n: What the interval counts: planned cases, or timed answers for a latency.
    """

    exact: Fraction | None
    interval: Interval | None
    n: int

    @property
    def value(self) -> float | None:
        """The value as a float, for reports."""
        return None if self.exact is None else float(self.exact)


QUANTILES = {"latency_p50": Fraction(1, 2), "latency_p95": Fraction(19, 20)}
"""The metrics that are quantiles of the latency."""

NOTHING_MEASURED = Measure(None, None, 0)


def exact_sum(shares: Sequence[Fraction]) -> Fraction:
    """The exact sum of fractions. Adding per denominator first is fast for ten thousand of them."""
    by_denominator: dict[int, int] = {}
    for share in shares:
        by_denominator[share.denominator] = by_denominator.get(share.denominator, 0) + share.numerator
    return sum((Fraction(total, below) for below, total in by_denominator.items()), Fraction(0))


def mean_share(shares: Sequence[Fraction], groups: Sequence[str] | None, confidence: float = 0.95) -> Measure:
    """The mean of the cases' shares with its interval; `groups` are those of the cases, None if there are none."""
    if not shares:
        return NOTHING_MEASURED
    value, n = exact_sum(shares) / len(shares), len(shares)
    worth = float(n) if groups is None else effective_size(list(map(float, shares)), groups, confidence=confidence)
    interval = rate_interval(min(float(value * Fraction(worth)), worth), worth, confidence=confidence)
    return Measure(value, interval, n)


def as_written(number: float) -> Fraction:
    """The decimal number as written in the settings: 0.95 is 19/20, not the nearest double."""
    return Fraction(repr(number))
