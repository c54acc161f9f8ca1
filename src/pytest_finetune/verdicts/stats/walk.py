"""The exact distribution of the successes in a run that may stop early: a binomial walk between two boundaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, lgamma, log, log1p
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Far below the rounding error of the sums, so that leaving these terms out changes no boundary.
_NEGLIGIBLE = 1e-20


@dataclass(frozen=True, slots=True)
class Look:
    """
    One look at the evidence.

    Args:
        n: Cases that are there.
        passes: The fewest successes with which the gate passes here; above `n` if none are enough.
        fails: The most successes with which it fails here; -1 if none are few enough.
    """

    n: int
    passes: int
    fails: int


@dataclass(frozen=True, slots=True)
class Course:
    """
    The chances of each end at one true rate.

    Args:
        passes: Chance of passing at each look.
        fails: Chance of failing at each look.
        sizes: Cases at each look.
    """

    passes: tuple[float, ...]
    fails: tuple[float, ...]
    sizes: tuple[int, ...]

    @property
    def expected_cases(self) -> float:
        """Mean number of cases at the end."""
        ends = [p + f for p, f in zip(self.passes, self.fails, strict=True)]
        ends[-1] = 1 - sum(ends[:-1])
        return sum(n * chance for n, chance in zip(self.sizes, ends, strict=True))


@dataclass(slots=True)
class Walk:
    """
    The number of successes among the runs that have not stopped yet.

    Args:
        rate: The true rate, in [0, 1].

    Attributes:
        n: Cases so far.
        low: The fewest successes with a chance.
        mass: Chance of `low`, `low + 1`, … successes; they sum to the chance of not having stopped.

    Source: the recursion of Armitage, McPherson and Rowe (1969), JRSS A 132, 235-244, for binomial steps.
    """

    rate: float
    n: int = 0
    low: int = 0
    mass: list[float] = field(default_factory=lambda: [1.0])

    def advance(self, n: int) -> None:
        """Add cases until there are `n`."""
        first, steps = binomial_mass(n - self.n, self.rate)
        self.n, self.low, self.mass = n, self.low + first, _convolved(self.mass, steps)
        self._trim()

    def at_least(self, successes: int) -> float:
        """Chance of not having stopped and having so many successes or more."""
        return sum(reversed(self.mass[max(0, successes - self.low) :]))

    def at_most(self, successes: int) -> float:
        """Chance of not having stopped and having so many successes or fewer."""
        return sum(self.mass[: max(0, successes - self.low + 1)])

    def stop(self, look: Look) -> None:
        """Take away the runs that stop at a look."""
        end = max(0, look.passes - self.low)
        start = min(max(0, look.fails + 1 - self.low), end)
        self.low, self.mass = self.low + start, self.mass[start:end]

    def _trim(self) -> None:
        kept = [place for place, chance in enumerate(self.mass) if chance > _NEGLIGIBLE]
        if kept:
            self.low, self.mass = self.low + kept[0], self.mass[kept[0] : kept[-1] + 1]


def course(looks: Sequence[Look], rate: float) -> Course:
    """
    The chances of passing and failing at each look.

    Source: Armitage, McPherson and Rowe (1969), JRSS A 132, 235-244: see `Walk`.
    """
    walk, passes, fails = Walk(rate), [], []
    for look in looks:
        walk.advance(look.n)
        passes.append(walk.at_least(look.passes))
        fails.append(walk.at_most(look.fails))
        walk.stop(look)
    return Course(tuple(passes), tuple(fails), tuple(look.n for look in looks))


def binomial_mass(trials: int, rate: float) -> tuple[int, list[float]]:
    """The binomial probabilities that are not negligible, and the number of successes of the first."""
    if rate <= 0 or rate >= 1:
        return (0 if rate <= 0 else trials), [1.0]
    mode, odds = min(trials, int((trials + 1) * rate)), rate / (1 - rate)
    ways = lgamma(trials + 1) - lgamma(mode + 1) - lgamma(trials - mode + 1)
    top = exp(ways + mode * log(rate) + (trials - mode) * log1p(-rate))
    above, below = [], []
    chance, count = top, mode
    while count < trials and chance > _NEGLIGIBLE:
        chance *= (trials - count) / (count + 1) * odds
        count += 1
        above.append(chance)
    chance, count = top, mode
    while count > 0 and chance > _NEGLIGIBLE:
        chance *= count / ((trials - count + 1) * odds)
        count -= 1
        below.append(chance)
    return mode - len(below), [*reversed(below), top, *above]


def _convolved(first: list[float], second: list[float]) -> list[float]:
    short, long = sorted((first, second), key=len)
    turned, width = short[::-1], len(short)
    padded = [0.0] * (width - 1) + long + [0.0] * (width - 1)
    return [sum(map(mul, turned, padded[place : place + width])) for place in range(len(long) + width - 1)]
