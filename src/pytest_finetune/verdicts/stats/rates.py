"""Confidence intervals of a rate over independent cases, and the number of cases they need to show a bar."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt

from pytest_finetune.verdicts.stats.beta import beta_quantile
from pytest_finetune.verdicts.stats.interval import Interval, normal_deviate


def wilson_interval(passed: float, planned: float, *, confidence: float = 0.95) -> Interval:
    """
    Wilson's score interval of a pass rate: correct on average, not for every rate. Gates use `rate_interval`.

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
    # In exact arithmetic the bounds stay in [0, 1]; rounding can step outside.
    return Interval(max(0.0, (centre - spread) / (planned + z2)), min(1.0, (centre + spread) / (planned + z2)))


@lru_cache(maxsize=4096)
def rate_interval(passed: float, planned: float, *, confidence: float = 0.95) -> Interval:
    """
    Exact interval of a pass rate: used both in reports and by gates.

    Each bound is wrong at most (1 - confidence) / 2 of the time, for every rate and every number of cases. Wilson's
    is shorter, but for rates near 1 its upper bound is wrong in 16 % of runs instead of 2.5 %: one miss in 20 would
    fail a model that meets a bar of 0.9912. Below 7 cases its lower bound is wrong too often as well.

    With repeats, `passed` is the sum of the cases' pass shares. Shares vary less than passes and misses with the
    same mean, so the interval is longer than necessary, never shorter.

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
    """Whether the lower bound reaches the bar if all of so many cases pass."""
    return planned > 0 and rate_interval(planned, planned, confidence=confidence).low >= bar


def cases_to_ever_pass(bar: float, confidence: float) -> int | None:
    """The fewest cases with which the lower bound reaches the bar if all pass; None for a bar of 1."""
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
        raise ValueError("a rate needs at least one planned case")
    if not 0 <= passed <= planned:
        raise ValueError(f"{passed} of {planned} cases cannot have passed")
