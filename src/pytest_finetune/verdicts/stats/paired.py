"""Two models over the same cases: the interval of the difference of their rates, and McNemar's test."""

from __future__ import annotations

from functools import lru_cache
from math import fsum, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.interval import Interval, normal_deviate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@lru_cache(maxsize=4096)
def paired_interval(only_first: float, only_second: float, planned: float, *, confidence: float = 0.95) -> Interval:
    """
    Score interval of the difference of two pass rates over the same cases, first minus second.

    With repeats, the counts are sums of the cases' differences in pass share. These vary less than whole flips of
    the same sum, so the interval is longer than necessary, never shorter.

    Args:
        only_first: Cases that only the first passed; may be a fraction.
        only_second: Cases that only the second passed; may be a fraction.
        planned: All cases, those that agree included; above 0.
        confidence: Two-sided level in (0, 1).

    Returns:
        Lower and upper bound, each in [-1, 1].

    Raises:
        ValueError: Nothing was planned, or more cases differ than were planned.

    Source: Tango (1998), Statistics in Medicine 17, 891-908.
    """
    if planned <= 0 or only_first < 0 or only_second < 0 or only_first + only_second > planned * (1 + 1e-12):
        raise ValueError(f"{only_first} and {only_second} differing cases of {planned} are not valid paired counts")
    z = normal_deviate(confidence)
    estimate = (only_first - only_second) / planned

    def score(difference: float) -> float:
        return paired_score(only_first, only_second, planned, difference)

    low = _crossing(lambda difference: score(difference) < z, -1.0, estimate)
    high = _crossing(lambda difference: score(difference) < -z, estimate, 1.0)
    return Interval(low, high)


def mcnemar(only_first: int, only_second: int) -> float:
    """
    Exact two-sided p-value of "the two pass equally often", from the cases in which they differ; 1 if none does.

    Source: McNemar (1947), with the binomial distribution in place of the normal one.
    """
    differing, ways, tail = only_first + only_second, 1, 0
    for count in range(min(only_first, only_second) + 1):
        tail += ways
        ways = ways * (differing - count) // (count + 1)
    return min(1.0, 2 * tail / (1 << differing))


def group_mcnemar(sums: Iterable[int]) -> float:
    """
    Exact two-sided p-value of "the two pass equally often" over cases in groups: the sign-flip test.

    If the models are equally good, either may have been the better one in each whole group, with equal probability.
    The p-value is the share of these assignments of signs with a total at least as far from 0. Where each group is one
    case, this is `mcnemar`.

    Args:
        sums: Of each group, the cases that only the first passed minus those that only the second passed.

    Source: Fisher, The Design of Experiments (1935), 21, and Pitman (1937), Supplement to the Journal of the Royal
    Statistical Society 4, 119-130, with groups as the units.
    """
    sums = [each for each in sums if each]
    most = (sum(map(abs, sums)) - abs(sum(sums))) // 2
    # The chance of each total of the groups whose sign is against the observed one, up to the observed total.
    chances = [1.0, *[0.0] * most]
    for size in map(abs, sums):
        later = [each / 2 for each in chances]
        for total in range(most - size + 1):
            later[total + size] += chances[total] / 2
        chances = later
    return min(1.0, 2 * fsum(chances))


def paired_p_value(only_first: float, only_second: float, planned: float, margin: float, *, larger: bool) -> float:
    """
    One-sided p-value of a difference of two pass rates over the same cases, first minus second, against a margin.

    It is at most (1 - confidence) / 2 exactly if the end of `paired_interval` is on that side of the margin.

    Args:
        only_first: Cases that only the first passed; may be a fraction.
        only_second: Cases that only the second passed; may be a fraction.
        planned: All cases, those that agree included; above 0.
        margin: The hypothetical difference, in (-1, 1).
        larger: Small if the difference is larger than the margin; otherwise small if it is smaller.

    Source: Tango (1998), Statistics in Medicine 17, 891-908: the score test of non-inferiority.
    """
    score = paired_score(only_first, only_second, planned, margin)
    return NormalDist().cdf(-score if larger else score)


def paired_score(b: float, c: float, n: float, difference: float) -> float:
    """
    Tango's statistic: how many standard errors the counts are above a hypothetical difference.

    Source: Tango (1998), Statistics in Medicine 17, 891-908, with the restricted estimate in closed form.
    """
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    second = (sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * second + difference * (1 - difference))
    distance = b - c - n * difference
    return distance / sqrt(variance) if variance > 0 else distance * float("inf") if distance else 0.0


def _crossing(below: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition that is false at `low` becomes true on the way to `high`, to about the last bit."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if below(middle) else (middle, high)
    return (low + high) / 2
