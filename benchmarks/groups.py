"""Simulated cases in groups: how often a model at the bar passes, and how often equally good models differ."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pytest_finetune.verdicts.stats import group_mcnemar, mcnemar, rate_interval
from pytest_finetune.verdicts.stats.groups import effective_size
from pytest_finetune.verdicts.stats.samples import t_deviate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DESIGNS = (
    (100, 5, 0.0, 0.95),
    (100, 5, 0.2, 0.95),
    (100, 5, 0.6, 0.95),
    (100, 5, 0.6, 0.8),
    (40, 5, 0.6, 0.95),
    (20, 10, 0.6, 0.95),
)
"""Groups, cases of each, correlation of their results, and the bar, which is the true rate."""


def passed(rng: np.random.Generator, runs: int, design: tuple[int, int, float, float]) -> tuple[float, float, float]:
    """The share of runs that pass if cases count, by Korn and Graubard's size, and by the project's own."""
    groups, size, likeness, bar = design
    if likeness:
        scale = 1 / likeness - 1
        chances = rng.beta(bar * scale, (1 - bar) * scale, (runs, groups))
    else:
        chances = np.full((runs, groups), bar)
    right = rng.binomial(size, chances)
    sizes: tuple[Callable[[NDArray[np.int64]], float], ...] = (
        lambda _: float(groups * size),
        lambda row: published_size(row, size),
        lambda row: own_size(row, size),
    )
    by_cases, published, own = (
        sum(_low(float(row.sum()) / (groups * size), round(worth(row), 1)) >= bar for row in right) / runs
        for worth in sizes
    )
    return by_cases, published, own


PAIRS = ((100, 5, 0.0, 0.2), (100, 5, 0.2, 0.2), (100, 5, 0.6, 0.2), (40, 5, 0.6, 0.2), (20, 10, 0.6, 0.5))
"""Groups, cases of each, correlation of the directions in which they differ, and the share of cases that do."""


def alarms(rng: np.random.Generator, runs: int, design: tuple[int, int, float, float]) -> tuple[float, float]:
    """How often two equally good models differ with p < 0.05, by McNemar's test of cases and by the test of groups."""
    groups, size, likeness, differing = design
    scale = 1 / likeness - 1 if likeness else 1e9
    flips = rng.binomial(size, differing, (runs, groups))
    lost = rng.binomial(flips, rng.beta(scale / 2, scale / 2, (runs, groups)))
    won = flips - lost
    by_cases = sum(
        mcnemar(*pair) < 0.05 for pair in zip(lost.sum(axis=1).tolist(), won.sum(axis=1).tolist(), strict=True)
    )
    by_groups = sum(group_mcnemar(sums) < 0.05 for sums in (lost - won).tolist())
    return by_cases / runs, by_groups / runs


def own_size(right: NDArray[np.int64], size: int) -> float:
    values = [float(place < count) for count in right.tolist() for place in range(size)]
    return effective_size(values, [group for group in range(len(right)) for _ in range(size)])


def published_size(right: NDArray[np.int64], size: int) -> float:
    """Korn and Graubard's effective size, with a design effect of at least 1; groups where nothing varies."""
    groups, n = len(right), len(right) * size
    rate = right.sum() / n
    if rate in (0, 1):
        return float(groups)
    variance = groups / (groups - 1) * float(((right - size * rate) ** 2).sum()) / n**2
    effect = max(1.0, variance / (rate * (1 - rate) / (n - 1)))
    return float(min(n, n / effect * (t_deviate(n - 1, 0.95) / t_deviate(groups - 1, 0.95)) ** 2))


@cache
def _low(rate: float, worth: float) -> float:
    return rate_interval(min(rate * worth, worth), worth).low
