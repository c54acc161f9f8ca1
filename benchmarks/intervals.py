"""Simulates runs with a known true value, and counts how often each interval of the project misses it on each side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import exp, inf, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finetune.verdicts.metrics.labels import LabelTable
from pytest_finetune.verdicts.stats import Interval, mean_interval, paired_interval, quantile_interval, rate_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
REPEATS = 5
HAIR = 1e-9
"""Distance of "just under the bar" from the bar, larger than the rounding error of an exact sum."""


@dataclass(frozen=True)
class Misses:
    """How often an interval is entirely above the true value, and entirely below it."""

    above: float
    below: float

    @classmethod
    def of(cls, bounds: Sequence[Interval], truth: float) -> Misses:
        """Count over simulated intervals."""
        above = sum(interval.low > truth + HAIR for interval in bounds)
        below = sum(interval.high < truth - HAIR for interval in bounds)
        return cls(above / len(bounds), below / len(bounds))

    @property
    def worse(self) -> float:
        """Error rate of the worse of the two bounds."""
        return max(self.above, self.below)

    @property
    def cell(self) -> str:
        """The coverage, and in brackets how often the interval is above / below the true value."""
        return f"{percent(1 - self.above - self.below)} ({self.above * 100:.1f} / {self.below * 100:.1f})"


Simulate = Callable[[np.random.Generator, int, int], Misses]
"""From a random generator, a number of runs and a number of cases to the misses of the intervals."""


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def rates(interval: Callable[..., Interval], rate: float) -> Simulate:
    def simulate(rng: np.random.Generator, runs: int, n: int) -> Misses:
        table = [interval(passed, n, confidence=CONFIDENCE) for passed in range(n + 1)]
        return Misses.of([table[passed] for passed in rng.binomial(n, rate, runs)], rate)

    return simulate


def paired(drop: float, won: float) -> Simulate:
    def simulate(rng: np.random.Generator, runs: int, n: int) -> Misses:
        pairs = rng.multinomial(n, (won + drop, won, 1 - drop - 2 * won), runs)[:, :2].tolist()
        return Misses.of([paired_interval(*pair, n, confidence=CONFIDENCE) for pair in pairs], drop)

    return simulate


def macro_f1s(accuracy: float, shares: Sequence[float], *, weighted: bool = False) -> Simulate:
    """
    Cases from a population with this many labels; a wrong answer is any other label with equal probability.

    The truth is that of the population, over the labels that the drawn eval set expects; `weighted` by their shares.
    """
    labels = len(shares)
    right = np.where(np.eye(labels, dtype=bool), accuracy, (1 - accuracy) / (labels - 1))
    chances = np.array(shares)[:, None] * right

    def simulate(rng: np.random.Generator, runs: int, n: int) -> Misses:
        tables = Counter(map(tuple, rng.multinomial(n, chances.ravel(), runs).tolist()))
        above = below = 0
        for counts, times in tables.items():
            interval = label_table(counts).f1_interval(CONFIDENCE, weighted=weighted)
            truth = mean_f1([row for row in range(labels) if sum(counts[labels * row : labels * (row + 1)])])
            above += times * (interval is not None and interval.low > truth)
            below += times * (interval is not None and interval.high < truth)
        return Misses(above / runs, below / runs)

    def mean_f1(present: list[int]) -> float:
        f1 = 2 * np.diag(chances) / (chances.sum(axis=0) + chances.sum(axis=1))
        return float(np.average(f1[present], weights=np.array(shares)[present] if weighted else None))

    return simulate


def good_versions_failed(rng: np.random.Generator, runs: int, design: tuple[int, int, float]) -> tuple[float, float]:
    """
    How often the upper end of macro F1 is below the truth, with and without its corrections for many labels.

    The labels are equally frequent, each case expects a fixed one, and a wrong answer is any other label.
    """
    labels, n, right = design
    misses = np.where(np.eye(labels, dtype=bool), right, (1 - right) / (labels - 1))
    without = now = 0
    for _ in range(runs):
        table = label_table(np.concatenate([rng.multinomial(n // labels, row) for row in misses]).tolist())
        interval = table.f1_interval(CONFIDENCE)
        # Every label has the same F1: as many cases expect it as are given it on average.
        without += uncorrected_end(table) < right
        now += interval is not None and interval.high < right
    return without / runs, now / runs


def uncorrected_end(table: LabelTable) -> float:
    """The upper end as it was: the labels' distances to their bounds, added up as squares and doubled."""
    above = 0.0
    for figures in table.figures:
        hits = table.counts.get((figures.label, figures.label), 0)
        involved = sum(count for pair, count in table.counts.items() if figures.label in pair)
        high = rate_interval(hits, involved, confidence=CONFIDENCE).high
        above += ((2 * high / (1 + high) - float(figures.f1 or 0)) / len(table.figures)) ** 2
    return float(table.macro_f1 or 0) + sqrt(2 * above)


def label_table(counts: Sequence[int]) -> LabelTable:
    names = [f"label {number}" for number in range(round(sqrt(len(counts))))]
    pairs = zip(product(names, names), counts, strict=True)
    return LabelTable({pair: count for pair, count in pairs if count})


def latencies(quantile: float, alike: float | None) -> Simulate:
    """Log-normal seconds; `alike` is the correlation of the logarithms of attempts at one case."""

    def simulate(rng: np.random.Generator, runs: int, n: int) -> Misses:
        attempts, shared = (1, 0.0) if alike is None else (REPEATS, alike)
        case = rng.standard_normal((runs, n, 1)) * sqrt(shared)
        values = np.exp(case + rng.standard_normal((runs, n, attempts)) * sqrt(1 - shared)).reshape(runs, -1)
        values.sort(axis=1)
        # The bounds are measured values, so their ranks identify them.
        ranks = quantile_interval(range(1, n * attempts + 1), quantile, independent=n, confidence=CONFIDENCE)
        truth = exp(NormalDist().inv_cdf(quantile))
        low = values[:, int(ranks.low) - 1] if ranks.low else np.zeros(runs)
        high = values[:, int(ranks.high) - 1] if ranks.high < inf else np.full(runs, inf)
        return Misses(float((low > truth).mean()), float((high < truth).mean()))

    return simulate


def means(shape: str) -> Simulate:
    """Tokens or cost per case, distributed normally or with a long right tail."""

    def simulate(rng: np.random.Generator, runs: int, n: int) -> Misses:
        draw = rng.standard_exponential if shape == "exponential" else rng.standard_normal
        values: NDArray[Any] = np.exp(draw((runs, n))) if shape == "log-normal" else draw((runs, n))
        truth = {"normal": 0.0, "exponential": 1.0, "log-normal": exp(0.5)}[shape]
        found = [mean_interval(row, CONFIDENCE) for row in values.tolist()]
        return Misses.of([interval for interval in found if interval], truth)

    return simulate
