"""Intervals of a rate over independent cases, and what they can ever show."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

from pytest_finetune.verdicts.stats.beta import beta_quantile
from pytest_finetune.verdicts.stats.interval import Interval, normal_deviate


def wilson_interval(passed: float, planned: float, *, confidence: float = 0.95) -> Interval:
    """
    Score interval of a pass rate: right on average, not for every rate. See `rate_interval`, which gates use.

    Args:
        passed: Successes, 0 <= passed <= planned.
        planned: Trials, above 0; count cases, not repeats of one case.
        confidence: Two-sided level in (0, 1).

    Raises:
        ValueError: Nothing was planned, which leaves a rate undefined.

    Source: Wilson (1927).
    """
    _check(passed, planned)
    z2 = normal_deviate(confidence) ** 2
    centre = passed + z2 / 2
    spread = sqrt(z2 * (passed * (planned - passed) / planned + z2 / 4))
    # The bound is exact at 0 and n on paper; rounding can step outside.
    return Interval(max(0.0, (centre - spread) / (planned + z2)), min(1.0, (centre + spread) / (planned + z2)))


@lru_cache(maxsize=4096)
def rate_interval(passed: float, planned: float, *, confidence: float = 0.95) -> Interval:
    """
    Exact interval of a pass rate: the one that is shown and the one that decides.

    Each bound is wrong at most (1 - confidence) / 2 of the time, for every rate and every number of cases. Wilson's
    is shorter, but for rates near 1 its upper bound is wrong in 16 % of runs at a nominal 2.5 %, and one miss in
    20 would fail a model that truly meets a bar of 0.9912; and below 7 cases its lower bound breaks the promise too.

    With repeats, `passed` is the sum of the cases' pass shares. Shares vary less than passes and misses of the
    same mean, so that the interval is then longer than it needs to be, never shorter.

    Args:
        passed: Successes, 0 <= passed <= planned; may be a fraction.
        planned: Trials, above 0; count cases, not repeats of one case.
        confidence: Two-sided level in (0, 1).

    Returns:
        Lower and upper bound, each in [0, 1].

    Raises:
        ValueError: Nothing was planned, which leaves a rate undefined.

    Source: Clopper and Pearson (1934), by quantiles of the beta distribution.
    """
    guess = wilson_interval(passed, planned, confidence=confidence)
    tail, missed = (1 - confidence) / 2, planned - passed
    low = beta_quantile(tail, passed, missed + 1, start=guess.low) if passed > 0 else 0.0
    high = beta_quantile(1 - tail, passed + 1, missed, start=guess.high) if missed > 0 else 1.0
    return Interval(low, high)


def can_ever_pass(planned: int, bar: float, confidence: float) -> bool:
    """Whether that many cases, all passed, would lift the lower bound to the bar."""
    return planned > 0 and rate_interval(planned, planned, confidence=confidence).low >= bar


def cases_to_ever_pass(bar: float, confidence: float) -> int | None:
    """The fewest cases whose passing altogether lifts the lower bound to the bar; None for a bar of 1."""
    if bar >= 1:
        return None
    enough = 1
    while not can_ever_pass(enough, bar, confidence):
        enough *= 2
    short = enough // 2
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if can_ever_pass(middle, bar, confidence) else (middle, enough)
    return enough


def _check(passed: float, planned: float) -> None:
    if planned <= 0:
        raise ValueError("the rate of nothing is undefined: no case was planned")
    if not 0 <= passed <= planned:
        raise ValueError(f"{passed} of {planned} passed: the count lies outside the plan")
