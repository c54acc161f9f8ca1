"""Several gates together: the chance that all pass, and of any wrong verdict among those that share a level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pytest_finetune.verdicts.stats import paired_p_value
from pytest_finetune.verdicts.stats.power import rate_chances
from pytest_finetune.verdicts.stats.step_down import holm

if TYPE_CHECKING:
    from collections.abc import Sequence

GATES, CASES, MARGIN, LEVEL = 10, 200, 0.05, 0.025

PLANS = ((0.9, 0.94, 0.95), (0.9, 0.96, 0.95), (0.9, 0.98, 0.95), (0.9, 0.92, None), (0.9, 0.94, None))
"""Bar, true rate and confidence of ten independent gates over 200 cases each."""

SLICES = ((10, 0.15), (5, 0.15), (1, 0.15), (10, 0.25), (0, 0.02), (0, 0.05))
"""Of ten slices, those whose true drop is the margin (the others have none), and the share of cases that differ."""


def together(bar: float, truth: float, confidence: float | None) -> tuple[float, float]:
    """The chance that ten independent gates all pass, and that some fails."""
    one = rate_chances(CASES, bar, truth, confidence=confidence)
    return one.passes**GATES, 1 - (1 - one.fails) ** GATES


@dataclass(frozen=True)
class Slices:
    """Shares of runs over ten slices: any pass at the margin, any fail there, and all ten pass."""

    wrong_pass: float
    wrong_fail: float
    all_pass: float


def judged(rng: np.random.Generator, runs: int, worse: int, differing: float) -> tuple[Slices, Slices]:
    """Ten slices, each gate alone and by Holm's step-down."""
    drops = np.array([MARGIN] * worse + [0.0] * (GATES - worse))
    counts = [
        rng.multinomial(CASES, ((differing + drop) / 2, (differing - drop) / 2, 1 - differing), runs)[:, :2].tolist()
        for drop in drops
    ]
    found = {"alone": [0, 0, 0], "holm": [0, 0, 0]}
    for run in zip(*counts, strict=True):
        below = [p_value(lost, won, larger=False) for lost, won in run]
        above = [p_value(lost, won, larger=True) for lost, won in run]
        alone = [[value <= LEVEL for value in values] for values in (below, above)]
        shared = [[step.rejected for step in holm(values, LEVEL)] for values in (below, above)]
        for name, (passes, fails) in (("alone", alone), ("holm", shared)):
            # A slice without a drop is never worse than the margin, so each of its fails is wrong.
            for at, seen in enumerate((any(passes[:worse]), any(fails), all(passes))):
                found[name][at] += seen
    return _shares(found["alone"], runs), _shares(found["holm"], runs)


@cache
def p_value(lost: int, won: int, *, larger: bool) -> float:
    return paired_p_value(lost, won, CASES, MARGIN, larger=larger)


def _shares(counts: Sequence[int], runs: int) -> Slices:
    return Slices(*(count / runs for count in counts))
