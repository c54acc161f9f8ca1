"""A normal statistic at several looks: where it stops, and the estimate after stopping."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, pi, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.spending import look_sizes, spent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.stats.spending import Sequential

_POINTS = 81
_STEPS = 50
_ESTIMATE_STEPS = 20
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class _Density:
    """The density of the statistic times the root of its share of the evidence, among the runs that go on."""

    share: float
    places: tuple[float, ...]
    weights: tuple[float, ...]

    def above(self, bound: float, share: float, drift: float) -> float:
        """The chance of being above a bound when there is a larger share of the evidence."""
        step = share - self.share
        spread = sqrt(step)
        return sum(
            weight * _NORMAL.cdf((place + drift * step - bound) / spread)
            for place, weight in zip(self.places, self.weights, strict=True)
        )

    def mirrored(self) -> _Density:
        """That of the statistic with its sign turned."""
        return _Density(self.share, tuple(-place for place in self.places), self.weights)

    def moved(self, bound: float, share: float, drift: float) -> _Density:
        """The density at a later look, between two bounds, on the points of Simpson's rule."""
        step, width = share - self.share, 2 * bound / (_POINTS - 1)
        places = tuple(width * point - bound for point in range(_POINTS))
        scale = 1 / sqrt(2 * pi * step)
        weights = []
        for point, place in enumerate(places):
            simpson = width / 3 * (1 if point in (0, _POINTS - 1) else 4 if point % 2 else 2)
            reach = sum(
                weight * exp(-((place - before - drift * step) ** 2) / (2 * step))
                for before, weight in zip(self.places, self.weights, strict=True)
            )
            weights.append(simpson * scale * reach)
        return _Density(share, places, tuple(weights))


_START = _Density(0.0, (0.0,), (1.0,))


@lru_cache(maxsize=64)
def normal_boundaries(method: Sequential, planned: int, confidence: float) -> tuple[float, ...]:
    """
    How many standard errors from the bar stop a run at each look, on either side.

    Source: Armitage, McPherson and Rowe (1969), JRSS A 132, 235-244, for the recursion; Lan and DeMets (1983) for the
    risk spent at each look.
    """
    tail, density, done, found = (1 - confidence) / 2, _START, 0.0, []
    for n in look_sizes(method, planned):
        share = n / planned
        allowed = spent(method, tail, share) - done
        low, high = 0.0, 10.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            crossing = density.above(middle * sqrt(share), share, 0.0)
            low, high = (low, middle) if crossing <= allowed else (middle, high)
        found.append(high)
        done += density.above(high * sqrt(share), share, 0.0)
        density = density.moved(high * sqrt(share), share, 0.0)
    return tuple(found)


def normal_course(method: Sequential, planned: int, confidence: float, drift: float) -> tuple[float, float, float]:
    """
    The chance of crossing the upper and the lower boundary, and the mean number of cases at the end.

    Args:
        method: `obrien-fleming` or `pocock`.
        planned: Cases at the last look.
        confidence: Two-sided level in (0, 1).
        drift: Mean of the statistic, in standard errors, at the last look.

    Source: as for `normal_boundaries`.
    """
    density, above, below, cases = _START, 0.0, 0.0, 0.0
    for n, boundary in zip(look_sizes(method, planned), normal_boundaries(method, planned, confidence), strict=True):
        share = n / planned
        bound = boundary * sqrt(share)
        up, down = density.above(bound, share, drift), density.mirrored().above(bound, share, -drift)
        above, below, cases = above + up, below + down, cases + n * (up + down)
        density = density.moved(bound, share, drift)
    return above, below, cases + planned * max(0.0, 1 - above - below)


def median_unbiased_drift(shares: Sequence[float], boundaries: Sequence[float], statistic: float) -> float:
    """
    The median-unbiased estimate of the drift of a normal statistic, its mean when all evidence is there.

    Args:
        shares: Share of the evidence at each look, up to the one at which the run stopped.
        boundaries: Those of these looks.
        statistic: At the last of them, in standard errors.

    Source: Tsiatis, Rosner and Mehta (1984), Biometrics 40, 797-803: ends ordered by look, then by the statistic.
    """

    def as_high(drift: float) -> float:
        density, before = _START, 0.0
        for share, boundary in zip(shares[:-1], boundaries[:-1], strict=True):
            bound = boundary * sqrt(share)
            before += density.above(bound, share, drift)
            density = density.moved(bound, share, drift)
        return before + density.above(abs(statistic) * sqrt(shares[-1]), shares[-1], drift)

    # After stopping at a boundary the plain estimate is too far from the bar, by less than two standard errors.
    plain = abs(statistic) / sqrt(shares[-1])
    low, high = plain - 2 / sqrt(shares[0]), plain + 1
    for _ in range(_ESTIMATE_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if as_high(middle) > 1 / 2 else (middle, high)
    return (low + high) / 2 if statistic >= 0 else -(low + high) / 2
