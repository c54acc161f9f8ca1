"""A rate against a bar, decided at the first look that is clear enough; and the estimate after stopping."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, log
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.betting import betting_interval, log_capital, rate_bets
from pytest_finetune.verdicts.stats.interval import Interval
from pytest_finetune.verdicts.stats.spending import look_sizes, spent
from pytest_finetune.verdicts.stats.walk import Look, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.verdicts.stats.spending import Sequential

_STEPS = 36
# Sums of shares such as 2/3 are floats here.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RateDesign:
    """
    When a rate is shown to reach a bar, or to miss it.

    Args:
        method: `obrien-fleming`, `pocock` or `e-process`.
        planned: Independent cases at the last look, at least 1.
        bar: In [0, 1]. A rate that has to stay within a bar: give the complement of the bar.
        confidence: Two-sided level in (0, 1).
    """

    method: Sequential
    planned: int
    bar: float
    confidence: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cases at each look."""
        return look_sizes(self.method, self.planned)

    @property
    def looks(self) -> tuple[Look, ...]:
        """The boundaries at each look."""
        return rate_looks(self.method, self.planned, self.bar, self.confidence)

    @property
    def can_pass(self) -> bool:
        """Whether it passes at some look if all cases do."""
        return any(look.passes <= look.n for look in self.looks)

    def signal(self, look: int, successes: float) -> int:
        """1 if the rate is shown to reach the bar at a look, counted from 0; -1 if it misses it; 0 if it is open."""
        bounds = self.looks[look]
        return int(successes >= bounds.passes - _ROUNDING) - int(successes <= bounds.fails + _ROUNDING)

    def limits(self, look: int) -> tuple[float | None, float | None]:
        """The rates from which on it passes and fails at a look; None where none does."""
        bounds = self.looks[look]
        passes = bounds.passes / bounds.n if bounds.passes <= bounds.n else None
        return passes, bounds.fails / bounds.n if bounds.fails >= 0 else None

    def interval(self, look: int, successes: float) -> Interval:
        """The interval of the rate that holds after stopping at a look."""
        if self.method != "e-process":
            return stagewise_estimate(self.looks[: look + 1], successes, self.confidence)[1]
        n = self.sizes[look]
        values = {1.0: successes, 0.0: n - successes}
        return betting_interval(
            values, lambda bar: rate_bets(self.planned, bar), (0.0, 1.0), successes / n, self.confidence
        )

    def estimate(self, look: int, successes: float) -> float:
        """The median-unbiased estimate of the rate after stopping at a look."""
        return stagewise_estimate(self.looks[: look + 1], successes, self.confidence)[0]


def cases_to_pass_sequentially(method: Sequential, bar: float, confidence: float) -> int | None:
    """About the fewest cases with which a run without a miss passes; None for a bar of 1."""
    if bar >= 1:
        return None
    enough = 1
    while not RateDesign(method, enough, bar, confidence).can_pass:
        enough *= 2
    counts = range(enough // 2 + 1, enough + 1)
    return counts[bisect_left(counts, 1, key=lambda n: int(RateDesign(method, n, bar, confidence).can_pass))]


@lru_cache(maxsize=256)
def rate_looks(method: Sequential, planned: int, bar: float, confidence: float) -> tuple[Look, ...]:
    """
    The boundaries at each look for a rate that has to reach a bar.

    A model whose true rate is at the bar passes with a probability of at most (1 - confidence) / 2, and so fails;
    a model below the bar passes more rarely still. With repeats, the sum of the cases' pass shares takes the place
    of the successes.

    Args:
        method: `obrien-fleming`, `pocock` or `e-process`.
        planned: Independent cases at the last look, at least 1.
        bar: In (0, 1). A rate that has to stay within a bar: give the complement of the bar.
        confidence: Two-sided level in (0, 1).

    Source: Jennison and Turnbull, Group Sequential Methods (2000), 7.2 and 12.1: error spending with the exact
    distribution in place of the normal one. What the whole numbers leave unspent at a look is spent at a later one.
    """
    tail, sizes = (1 - confidence) / 2, look_sizes(method, planned)
    if not 0 < bar < 1:
        # No evidence shows a rate of exactly 1; every rate reaches 0, and one miss shows that a rate is below 1.
        return tuple(Look(n, 0 if bar <= 0 else n + 1, -1 if bar <= 0 else n - 1) for n in sizes)
    if method == "e-process":
        return tuple(_betting_look(n, planned, bar, tail) for n in sizes)
    walk, passed, failed, looks = Walk(bar), 0.0, 0.0, []
    for n in sizes:
        walk.advance(n)
        allowed = spent(method, tail, n / planned)
        look = Look(n, _pass_boundary(walk, allowed - passed), _fail_boundary(walk, allowed - failed))
        passed += walk.at_least(look.passes)
        failed += walk.at_most(look.fails)
        walk.stop(look)
        looks.append(look)
    return tuple(looks)


@lru_cache(maxsize=256)
def stagewise_estimate(looks: tuple[Look, ...], successes: float, confidence: float) -> tuple[float, Interval]:
    """
    The median-unbiased estimate of a rate after stopping, and its interval.

    Stopping at a boundary makes the share of successes more extreme than the truth. Here an end is ordered by the look
    at which it stopped, and only then by its successes. The bounds are the rates at which this end or a more extreme
    one has a probability of (1 - confidence) / 2; the estimate is half-way between the rates at which either side has
    a probability of 1/2.

    Args:
        looks: All looks up to the one at which the run stopped.
        successes: At the last of them; with repeats, the sum of the cases' pass shares.
        confidence: Two-sided level in (0, 1).

    Source: Tsiatis, Rosner and Mehta (1984), Biometrics 40, 797-803; for a binomial outcome Jennison and Turnbull
    (1983), Technometrics 25, 49-58.
    """
    tail, last = (1 - confidence) / 2, looks[-1]
    # A fractional sum counts as the next whole number on the side that makes the interval longer.
    low_count, high_count = floor(successes + _ROUNDING), ceil(successes - _ROUNDING)
    failed = high_count <= last.fails

    def as_high(rate: float) -> float:
        before, walk = _before(looks, rate, failed=failed)
        return 1 - before - walk.at_most(low_count - 1) if failed else before + walk.at_least(low_count)

    def as_low(rate: float) -> float:
        before, walk = _before(looks, rate, failed=failed)
        return before + walk.at_most(high_count) if failed else 1 - before - walk.at_least(high_count + 1)

    low = _rate_where(lambda rate: as_high(rate) > tail)
    high = _rate_where(lambda rate: as_low(rate) < tail)
    middle = (_rate_where(lambda rate: as_high(rate) > 1 / 2) + _rate_where(lambda rate: as_low(rate) < 1 / 2)) / 2
    return middle, Interval(low, high)


def _before(looks: Sequence[Look], rate: float, *, failed: bool) -> tuple[float, Walk]:
    """The chance of having stopped earlier on the same side, and the walk at the last look."""
    walk, before = Walk(rate), 0.0
    for look in looks[:-1]:
        walk.advance(look.n)
        before += walk.at_most(look.fails) if failed else walk.at_least(look.passes)
        walk.stop(look)
    walk.advance(looks[-1].n)
    return before, walk


def _rate_where(holds: Callable[[float], bool]) -> float:
    """The rate at which a condition becomes true, from 0 to 1; 0 or 1 where it is true everywhere or nowhere."""
    if holds(0.0):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return low if high < 1 else 1.0


def _pass_boundary(walk: Walk, allowed: float) -> int:
    counts = range(walk.low, walk.low + len(walk.mass) + 1)
    place = bisect_left(counts, 1, key=lambda count: int(walk.at_least(count) <= allowed))
    boundary = counts[place] if place < len(counts) else walk.n + 1
    # No success count in reach is beyond the boundary: none passes here, however unlikely it is.
    return boundary if boundary < counts[-1] else walk.n + 1


def _fail_boundary(walk: Walk, allowed: float) -> int:
    counts = range(walk.low - 1, walk.low + len(walk.mass))
    place = bisect_left(counts, 1, key=lambda count: int(walk.at_most(count) > allowed)) - 1
    return counts[place] if place > 0 else -1


def _betting_look(n: int, planned: int, bar: float, tail: float) -> Look:
    enough = log(1 / tail)
    up, down = rate_bets(planned, bar)

    def is_enough(bets: tuple[float, ...], successes: int) -> int:
        return int(log_capital(bets, {1.0: successes, 0.0: n - successes}, bar) >= enough)

    passes = bisect_left(range(n + 1), 1, key=lambda successes: is_enough(up, successes))
    misses = bisect_left(range(n + 1), 1, key=lambda count: is_enough(down, n - count))
    return Look(n, passes, n - misses if misses <= n else -1)
