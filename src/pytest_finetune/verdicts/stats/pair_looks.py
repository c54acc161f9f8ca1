"""A drop between two models over the same cases against a margin, decided at the first look that is clear enough."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.betting import betting_interval, gain_bets, log_capital
from pytest_finetune.verdicts.stats.interval import Interval
from pytest_finetune.verdicts.stats.normal_looks import median_unbiased_drift, normal_boundaries
from pytest_finetune.verdicts.stats.paired import paired_interval, paired_score
from pytest_finetune.verdicts.stats.spending import look_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.stats.spending import Sequential

_STEPS = 40


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Cases that only the baseline passed, cases that only the new one passed, and all; with repeats sums of shares."""

    worse: float
    better: float
    n: int

    @property
    def drop(self) -> float:
        """The drop in the share of cases that passed."""
        return (self.worse - self.better) / self.n

    @property
    def gains(self) -> dict[float, float]:
        """How often each gain was seen."""
        return {-1.0: self.worse, 1.0: self.better, 0.0: self.n - self.worse - self.better}


@dataclass(frozen=True, slots=True)
class PairDesign:
    """
    When a drop is shown to be within a margin, or beyond it.

    The group-sequential designs compare Tango's score statistic, whose increments are independent for many cases, with
    the boundaries of a normal one. For 200 to 2,000 cases and any discordance the error at the margin is about the
    nominal one: benchmarks/verdicts.py has the exact figures. The e-process has no such assumption.

    Args:
        method: `obrien-fleming`, `pocock` or `e-process`.
        planned: Independent cases at the last look, at least 1.
        margin: The largest drop that passes, in [0, 1).
        confidence: Two-sided level in (0, 1).

    Source: Tango (1998), Statistics in Medicine 17, 891-908; Jennison and Turnbull, Group Sequential Methods (2000),
    chapters 7 and 11: a score statistic with error spending.
    """

    method: Sequential
    planned: int
    margin: float
    confidence: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cases at each look."""
        return look_sizes(self.method, self.planned)

    def signal(self, look: int, counts: PairCounts) -> int:
        """1 if the drop is within the margin at a look, counted from 0; -1 if it is beyond it; 0 if it is open."""
        if self.method == "e-process":
            enough = log(2 / (1 - self.confidence))
            up, down = gain_bets(self.planned, -self.margin)
            if log_capital(up, counts.gains, -self.margin) >= enough:
                return 1
            return -int(log_capital(down, counts.gains, -self.margin) >= enough)
        score, boundary = self._score(counts), self._boundaries[look]
        return int(score <= -boundary) - int(score >= boundary)

    def limits(self, look: int, counts: PairCounts) -> tuple[float | None, float | None]:
        """The drops that would have passed and failed with as many differing cases; None where none would."""
        differing = counts.worse + counts.better

        def drop_where(signal: int) -> float | None:
            def holds(drop: float) -> bool:
                worse = (differing + drop * counts.n) / 2
                return self.signal(look, PairCounts(worse, differing - worse, counts.n)) == signal

            best = -signal * differing / counts.n
            return _last(holds, best, -best) if differing and holds(best) else None

        return drop_where(1), drop_where(-1)

    def interval(self, look: int, counts: PairCounts) -> Interval:
        """
        The interval of the drop that holds at whatever look one stops.

        Source: the repeated confidence interval of Jennison and Turnbull (1989), JRSS B 51, 305-361; for the
        e-process, the drops that its bets have not ruled out.
        """
        if self.method == "e-process":
            gain = betting_interval(
                counts.gains, lambda bar: gain_bets(self.planned, bar), (-1.0, 1.0), -counts.drop, self.confidence
            )
            return Interval(-gain.high, -gain.low)
        level = min(1 - 1e-13, 2 * NormalDist().cdf(self._boundaries[look]) - 1)
        return paired_interval(counts.worse, counts.better, counts.n, confidence=level)

    def estimate(self, look: int, counts: PairCounts) -> float:
        """
        The median-unbiased estimate of the drop after stopping; the drop itself for an e-process.

        Source: Tsiatis, Rosner and Mehta (1984), with the variance of the differences at the last look.
        """
        variance = (counts.worse + counts.better) / counts.n - counts.drop**2
        if self.method == "e-process" or variance <= 0:
            return counts.drop
        shares = [n / self.planned for n in self.sizes[: look + 1]]
        error = sqrt(variance / counts.n)
        statistic = (counts.drop - self.margin) / error
        drift = median_unbiased_drift(shares, self._boundaries[: look + 1], statistic)
        interval = self.interval(look, counts)
        return min(max(self.margin + drift * error * sqrt(shares[-1]), interval.low), interval.high)

    @property
    def _boundaries(self) -> tuple[float, ...]:
        return normal_boundaries(self.method, self.planned, self.confidence)

    def _score(self, counts: PairCounts) -> float:
        return paired_score(counts.worse, counts.better, counts.n, self.margin)


def _last(holds: Callable[[float], bool], start: float, end: float) -> float:
    """The value farthest from `start`, where the condition holds, at which it still does."""
    if holds(end):
        return end
    for _ in range(_STEPS):
        middle = (start + end) / 2
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start
