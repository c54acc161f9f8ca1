"""Newcombe's interval of a paired difference, compared with Tango's; the project uses Tango's."""

from __future__ import annotations

from functools import cache
from math import sqrt

from pytest_finetune.verdicts.stats import Interval, wilson_interval


@cache
def newcombe_interval(only_first: int, only_second: int, both: int, neither: int) -> Interval:
    """
    Hybrid score interval of the difference of two rates over the same cases, first minus second.

    Source: Newcombe (1998), Statistics in Medicine 17, 2635-2650, method 10.
    """
    n = only_first + only_second + both + neither
    first, second = both + only_first, both + only_second
    a, b = wilson_interval(first, n), wilson_interval(second, n)
    p, q = first / n, second / n
    margins = sqrt(first * (n - first) * second * (n - second))
    excess = both * neither - only_first * only_second
    # Continuity: n / 2 less where the correlation is positive, and never below 0.
    phi = (max(excess - n / 2, 0) if excess > 0 else excess) / margins if margins else 0.0

    def reach(one: float, other: float) -> float:
        return sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))

    return Interval(p - q - reach(p - a.low, b.high - q), p - q + reach(a.high - p, q - b.low))
