"""Confidence intervals of a mean and of a percentile, from the measured values."""

from __future__ import annotations

from math import ceil, inf, sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.beta import beta_cdf, beta_quantile
from pytest_finetune.verdicts.stats.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """
    Interval of a mean by Student's t; None for fewer than two values, whose spread is unknown.

    Source: Student (1908).
    """
    if len(values) < 2:  # noqa: PLR2004 - a spread takes two
        return None
    centre, reach = fmean(values), t_deviate(len(values) - 1, confidence) * stdev(values) / sqrt(len(values))
    return Interval(centre - reach, centre + reach)


def t_deviate(freedom: int, confidence: float) -> float:
    """
    The t that leaves (1 - confidence) / 2 in each tail of Student's distribution.

    Source: Abramowitz and Stegun (1964), 26.7.1 with 26.5.27: P(|T| > t) = I_x(f/2, 1/2) at x = f / (f + t²).
    """
    x = beta_quantile(1 - confidence, freedom / 2, 0.5, start=0.5)
    return sqrt(freedom * (1 - x) / x)


def quantile_interval(
    ordered: Sequence[float], quantile: float, *, independent: int | None = None, confidence: float = 0.95
) -> Interval:
    """
    Interval of a quantile between two of the measured values, for any distribution.

    Args:
        ordered: The values in ascending order, at least one, none negative.
        quantile: In (0, 1).
        independent: How many of the values are independent: with repeats, the number of cases.
        confidence: Two-sided level in (0, 1).

    Returns:
        The bounds; 0 or infinity on a side with too few values to bound it.

    Source: David and Nagaraja, Order Statistics (2003), 7.1.
    """
    n = independent or len(ordered)
    tail = (1 - confidence) / 2
    below = _first(n, lambda rank: _at_most(rank, n, quantile) > tail)
    above = _first(n, lambda rank: _at_most(rank, n, quantile) >= 1 - tail) + 1
    scale = len(ordered) / n
    low = ordered[max(int(below * scale), 1) - 1] if below >= 1 else 0.0
    high = ordered[ceil(above * scale) - 1] if above <= n else inf
    return Interval(low, high)


def _at_most(successes: int, trials: int, rate: float) -> float:
    return 1.0 if successes >= trials else beta_cdf(1 - rate, trials - successes, successes + 1)


def _first(n: int, holds: Callable[[int], bool]) -> int:
    """The smallest of 0 … n for which a monotone condition holds; it must hold for n."""
    short, enough = -1, n
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if holds(middle) else (middle, enough)
    return enough
