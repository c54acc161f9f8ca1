"""What a sequential gate will probably say, and how many cases it will probably take."""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.verdicts.stats.normal_looks import normal_course
from pytest_finetune.verdicts.stats.pair_looks import PairCounts, PairDesign
from pytest_finetune.verdicts.stats.power import MOST, Chances
from pytest_finetune.verdicts.stats.walk import course

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.stats.rate_looks import RateDesign
    from pytest_finetune.verdicts.stats.spending import Sequential

_RUNS, _SEED = 300, 1
_STEPS = 20


class Expected(NamedTuple):
    """The chances of a sequential gate, and the mean number of cases at which it is decided or open at the last one."""

    chances: Chances
    cases: float


def rate_expected(design: RateDesign, truth: float) -> Expected:
    """For a rate that has to reach a bar; exact, by the distribution of its boundaries."""
    found = course(design.looks, truth)
    return Expected(Chances(min(1.0, sum(found.passes)), min(1.0, sum(found.fails))), found.expected_cases)


def drop_expected(design: PairDesign, drop: float, discordance: float) -> Expected:
    """
    For a drop that has to stay within a margin.

    By the normal approximation of the score statistic for group-sequential designs, and by 300 simulated runs, the
    same in every call, for an e-process.
    """
    if design.method == "e-process":
        return _simulated(design, drop, discordance)
    spread = max(discordance - drop**2, 1e-12)
    drift = (design.margin - drop) * sqrt(design.planned / spread)
    passes, fails, cases = normal_course(design.method, design.planned, design.confidence, drift)
    return Expected(Chances(passes, fails), cases)


def smallest_rate(design: RateDesign, power: float) -> float | None:
    """The lowest true rate above the bar that passes with this power; None if not even 1 does."""
    low, high = design.bar, 1.0
    if rate_expected(design, high).chances.passes < power:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rate_expected(design, middle).chances.passes >= power else (middle, high)
    return high


def largest_drop(design: PairDesign, discordance: float, power: float) -> float | None:
    """The largest true drop below the margin that passes with this power; None if none does."""
    low, high = -min(discordance, 1.0), min(design.margin, discordance)
    if drop_expected(design, low, discordance).chances.passes < power:
        return None
    for _ in range(_STEPS // 2):
        middle = (low + high) / 2
        passes = drop_expected(design, middle, discordance).chances.passes >= power
        low, high = (middle, high) if passes else (low, middle)
    return low


def enough_cases(
    method: Sequential, start: int | None, settles: Callable[[Sequential, int], float], power: float
) -> int | None:
    """
    About how many cases settle a sequential gate with this power.

    Args:
        method: How the gate is decided.
        start: Cases that settle the gate without looks; None if no practical number does.
        settles: The chance of being settled the right way with so many cases.
        power: The demand, in (0, 1).
    """
    if start is None:
        return None
    low, high = max(1, start // 2), start
    while settles(method, high) < power:
        low, high = high, high * 2
        if high > MOST:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if settles(method, middle) >= power else (middle, high)
    return high


@lru_cache(maxsize=256)
def _simulated(design: PairDesign, drop: float, discordance: float) -> Expected:
    draws, worse_rate = Random(_SEED), (discordance + drop) / 2  # noqa: S311 - a simulation
    # Hardly a run more is decided by the looks between; the last one is among these.
    looks = list(enumerate(design.sizes))[::-1][::4][::-1]
    passes = fails = cases = 0
    for _ in range(_RUNS):
        worse = better = done = signal = 0
        for look, n in looks:
            for draw in (draws.random() for _ in range(n - done)):
                worse += draw < worse_rate
                better += worse_rate <= draw < discordance
            done = n
            if signal := design.signal(look, PairCounts(worse, better, n)):
                break
        passes, fails, cases = passes + (signal > 0), fails + (signal < 0), cases + done
    return Expected(Chances(passes / _RUNS, fails / _RUNS), cases / _RUNS)
