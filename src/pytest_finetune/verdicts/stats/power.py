"""What a gate will probably say: chances of its verdicts, and the cases that they take, before any call is paid for."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache, partial
from math import exp, inf, isfinite, lgamma, log, log1p, sqrt
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.beta import beta_cdf
from pytest_finetune.verdicts.stats.interval import normal_deviate
from pytest_finetune.verdicts.stats.paired import paired_score
from pytest_finetune.verdicts.stats.rates import rate_interval

if TYPE_CHECKING:
    from collections.abc import Callable

POWER = 0.8
"""The chance of being settled that a suggested number of cases has, where no other is asked for."""

MOST = 1_000_000
"""Above this number of cases, no practical number is said to settle a gate."""

_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Chances:
    """The chance that a gate passes and that it fails; otherwise it is inconclusive."""

    passes: float
    fails: float

    @property
    def undecided(self) -> float:
        """The chance that it neither passes nor fails."""
        return max(0.0, 1 - self.passes - self.fails)


def binomial_cdf(successes: int, trials: int, rate: float) -> float:
    """
    Probability of at most so many successes.

    Source: Abramowitz and Stegun (1964), 26.5.24, for the beta function in place of the sum.
    """
    if successes < 0 or successes >= trials:
        return float(successes >= trials)
    return beta_cdf(1 - rate, trials - successes, successes + 1)


def rate_chances(planned: int, bar: float, truth: float, *, confidence: float | None) -> Chances:
    """
    The chance of each verdict on a rate that has to reach a bar.

    Args:
        planned: Independent cases, at least 1.
        bar: The bar, in [0, 1]. A rate that has to stay within a bar: give the complements of bar and truth.
        truth: The true rate, in [0, 1].
        confidence: Level at which the exact interval has to clear the bar; None if the value alone decides.

    Source: sums of the binomial distribution over the counts at which `rate_interval` clears the bar.
    """
    enough, too_few = _limits(planned, bar, confidence)
    return Chances(1 - binomial_cdf(enough - 1, planned, truth), binomial_cdf(too_few - 1, planned, truth))


def cases_to_show_rate(bar: float, truth: float, *, confidence: float, power: float = POWER) -> int | None:
    """
    The fewest cases from which on a gate on a rate is settled with at least this power, whatever their exact number.

    The power does not grow with every case, since the number of misses that a passing run may have is a whole one.
    The first number of cases that reaches the power is therefore a lucky one; this is the one after the last that
    misses it.

    Args:
        bar: The bar, in (0, 1).
        truth: The true rate: above the bar, the gate is to pass, below it, to fail.
        confidence: Level at which the exact interval has to clear the bar.
        power: The chance that it does, in (0, 1).

    Returns:
        None if the truth is at the bar, or if a million cases are not enough.

    Source: the exact power of the binomial test; its saw-tooth form is that of Chernick and Liu (2002), The American
    Statistician 56, 149-155.
    """
    if truth == bar or not 0 < bar < 1:
        return None
    if truth < bar:
        bar, truth = 1 - bar, 1 - truth
    tail = (1 - confidence) / 2
    fewest = partial(_fewest_cases, miss_rate=1 - bar, tail=tail)

    def weak(misses: int) -> bool:
        """Whether the power is too low just before one more miss is allowed, where it is lowest."""
        return binomial_cdf(misses, fewest(misses + 1) - 1, 1 - truth) < power

    high = 1
    while weak(high):
        high *= 2
        if fewest(high) > MOST:
            return None
    low = bisect_left(range(high), 1, key=lambda misses: int(not weak(misses)))
    # The power at the teeth grows with the misses allowed, but for ripples of the whole numbers.
    strong = max((misses + 1 for misses in range(low, low + 4) if weak(misses)), default=low)
    found = fewest(strong)
    return found if found <= MOST else None


def _fewest_cases(misses: int, *, miss_rate: float, tail: float) -> int:
    """The fewest cases with which a run with so many misses passes; more than `2 * MOST` if that is not enough."""
    low, high = misses, misses + 1
    while binomial_cdf(misses, high, miss_rate) > tail:
        low, high = high, high * 2
        if high > 2 * MOST:
            return high
    return low + 1 + bisect_left(range(low + 1, high), 1, key=lambda n: int(binomial_cdf(misses, n, miss_rate) <= tail))


def smallest_visible_rate(planned: int, bar: float, *, confidence: float, power: float = POWER) -> float | None:
    """
    The lowest true rate above a bar that passes with this power; None if not even 1 does.

    Source: the exact power of `rate_chances`, which grows with the rate, inverted by bisection.
    """
    if rate_chances(planned, bar, 1.0, confidence=confidence).passes < power:
        return None
    return _boundary(lambda truth: rate_chances(planned, bar, truth, confidence=confidence).passes >= power, bar, 1.0)


def drop_chances(planned: int, margin: float, drop: float, discordance: float, *, confidence: float | None) -> Chances:
    """
    The chance of each verdict on a drop, which has to stay within a margin, of a rate over the same cases.

    Args:
        planned: Independent cases, at least 1.
        margin: The largest drop, in [0, 1).
        drop: The true drop; below 0 for a model that is better.
        discordance: Share of the cases that only one of the two models passes, at least the drop's size.
        confidence: Level at which the score interval has to clear the margin; None if the value alone decides.

    Raises:
        ValueError: The discordance is smaller than the drop, or above 1.

    Source: sums of the trinomial distribution over the pairs of counts at which `paired_interval` clears the margin.
    """
    if not abs(drop) <= discordance <= 1:
        raise ValueError(f"a drop of {drop:g} needs a discordance between {abs(drop):g} and 1, not {discordance:g}")
    lost, won = (discordance + drop) / 2, (discordance - drop) / 2
    passes = fails = 0.0
    for worse in range(planned + 1):
        chance = _binomial(worse, planned, lost)
        if chance < _NEGLIGIBLE:
            continue
        rest = planned - worse
        of_rest = min(1.0, won / (1 - lost)) if lost < 1 else 0.0
        enough, too_few = _pair_limits(worse, planned, margin, confidence)
        passes += chance * (1 - binomial_cdf(enough - 1, rest, of_rest) if enough <= rest else 0.0)
        fails += chance * binomial_cdf(too_few - 1, rest, of_rest)
    return Chances(min(1.0, passes), min(1.0, fails))


def cases_to_show_drop(
    margin: float, drop: float, discordance: float, *, confidence: float, power: float = POWER
) -> int | None:
    """
    About how many cases settle a gate on a drop with this power; None if a million are not enough.

    The arguments are those of `drop_chances`.

    Source: the normal approximation of Tango's statistic, whose variance at the margin is that of the score; the
    result is then moved to where the exact power, by `drop_chances`, reaches the demand.
    """
    z, z_power = normal_deviate(confidence), normal_deviate(2 * power - 1) if power > 1 / 2 else 0.0
    if drop == margin:
        return None
    null = max(discordance, margin) - margin**2
    spread = max(discordance - drop**2, 0.0)
    guess = ((z * sqrt(null) + z_power * sqrt(spread)) / (margin - drop)) ** 2
    if not isfinite(guess) or guess > MOST:
        return None

    def strong(planned: int) -> bool:
        chances = drop_chances(planned, margin, drop, discordance, confidence=confidence)
        return (chances.passes if drop < margin else chances.fails) >= power

    high = max(2, round(guess * 1.1))
    while not strong(high):
        high = round(high * 1.3) + 1
        if high > MOST:
            return None
    low = max(1, high // 2)
    while low > 1 and strong(low):
        low //= 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if strong(middle) else (middle, high)
    return high


def smallest_visible_drop(
    planned: int, margin: float, discordance: float, *, confidence: float, power: float = POWER
) -> float | None:
    """
    The largest true drop below a margin that passes with this power; None if none does.

    Source: the power of `drop_chances`, which falls with the drop, inverted by bisection.
    """

    def weak(drop: float) -> bool:
        return drop_chances(planned, margin, drop, discordance, confidence=confidence).passes < power

    least = -min(discordance, 1.0)
    if weak(least):
        return None
    return _boundary(weak, least, min(margin, discordance), steps=20)


@lru_cache(maxsize=1024)
def _limits(planned: int, bar: float, confidence: float | None) -> tuple[int, int]:
    """The fewest successes that pass, and the fewest that do not fail."""
    counts = range(planned + 1)
    if confidence is None:
        enough = bisect_left(counts, 1, key=lambda count: int(count >= bar * planned - _NEGLIGIBLE))
        return enough, enough
    enough = bisect_left(counts, 1, key=lambda n: int(rate_interval(n, planned, confidence=confidence).low >= bar))
    too_few = bisect_left(counts, 1, key=lambda n: int(rate_interval(n, planned, confidence=confidence).high >= bar))
    return enough, too_few


def _pair_limits(worse: int, planned: int, margin: float, confidence: float | None) -> tuple[int, int]:
    """With so many cases lost, the fewest won ones that pass, and the fewest that do not fail."""
    counts = range(planned - worse + 1)
    if confidence is None:
        enough = bisect_left(counts, 1, key=lambda won: int(worse - won <= margin * planned + _NEGLIGIBLE))
        return enough, enough
    z = normal_deviate(confidence)
    enough = bisect_left(counts, 1, key=lambda won: int(paired_score(worse, won, planned, margin) <= -z))
    too_few = bisect_left(counts, 1, key=lambda won: int(paired_score(worse, won, planned, margin) <= z))
    return enough, too_few


def _binomial(count: int, trials: int, rate: float) -> float:
    if rate <= 0 or rate >= 1:
        return float(count == (0 if rate <= 0 else trials))
    ways = lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)
    logarithm = ways + count * log(rate) + (trials - count) * log1p(-rate)
    return exp(logarithm) if logarithm > -inf else 0.0


def _boundary(holds: Callable[[float], bool], low: float, high: float, *, steps: int = 40) -> float:
    """Where a condition that is false at `low` becomes true on the way to `high`."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
