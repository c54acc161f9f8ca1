"""Sequential gates, exactly: how often they pass and fail, what they take, and how often the interval is right."""

from __future__ import annotations

from itertools import product
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from intervals import CONFIDENCE, percent
from scipy.signal import fftconvolve  # type: ignore[import-untyped]
from scipy.stats import binom  # type: ignore[import-untyped]

from pytest_finetune.verdicts.stats.betting import log_capital, rate_bets
from pytest_finetune.verdicts.stats.normal_looks import normal_boundaries
from pytest_finetune.verdicts.stats.power import rate_chances
from pytest_finetune.verdicts.stats.rate_looks import RateDesign
from pytest_finetune.verdicts.stats.spending import look_sizes
from pytest_finetune.verdicts.stats.walk import Walk, course

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from verdicts import Report

    from pytest_finetune.verdicts.stats.spending import Sequential

METHODS: tuple[Sequential, ...] = ("obrien-fleming", "pocock", "e-process")
SIZES, BAR, TRUTHS = (200, 500, 2000), 0.95, (0.95, 0.96, 0.97, 0.98, 0.99)
PAIR_SIZES, PAIR_MARGINS, DISCORDANCES = (200, 500), (0.02, 0.05), (0.06, 0.1, 0.2)
_NORMAL = 1.959963984540054


class Figures(NamedTuple):
    """Chances of a pass and a fail, the mean number of cases, and how often the interval contains the true rate."""

    passes: float
    fails: float
    cases: float
    covers: float


def rate_figures(method: Sequential, planned: int, truth: float) -> Figures:
    """A gate on a rate, by the exact distribution of its ends."""
    design = RateDesign(method, planned, BAR, CONFIDENCE)
    found = course(design.looks, truth)
    return Figures(sum(found.passes), sum(found.fails), found.expected_cases, _covers(design, truth))


def _covers(design: RateDesign, truth: float) -> float:
    ends = _ends(design, truth)
    if design.method == "e-process":
        up, down = rate_bets(design.planned, truth)
        enough = log(2 / (1 - CONFIDENCE))
        return sum(
            chance
            for _, look, successes, chance in ends
            for values in ({1.0: successes, 0.0: design.sizes[look] - successes},)
            if max(log_capital(up, values, truth), log_capital(down, values, truth)) < enough
        )
    # The interval contains the rates at which the end is not among the most extreme ones on either side.
    ends.sort(key=lambda end: (end[0], -end[1] * end[0], end[2]))
    tail, below, covered = (1 - CONFIDENCE) / 2, 0.0, 0.0
    for *_, chance in ends:
        if below + chance > tail and 1 - below > tail:
            covered += chance
        below += chance
    return covered


def _ends(design: RateDesign, truth: float) -> list[tuple[int, int, int, float]]:
    """Side, look, successes and chance of every way to end."""
    walk, found = Walk(truth), []
    for place, look in enumerate(design.looks):
        walk.advance(look.n)
        for successes, chance in enumerate(walk.mass, walk.low):
            side = int(successes >= look.passes) - int(successes <= look.fails)
            if side or look is design.looks[-1]:
                found.append((side, place, successes, chance))
        walk.stop(look)
    return found


def pair_figures(
    method: Sequential | None, planned: int, margin: float, drop: float, discordance: float
) -> tuple[float, float, float]:
    """
    Chances of a pass and a fail and the mean number of cases, for a gate on a drop; without a method, at one look.

    Exact, by the joint distribution of the cases lost and won; for the group-sequential designs.
    """
    sizes: Sequence[int] = look_sizes(method, planned) if method else (planned,)
    bounds = normal_boundaries(method, planned, CONFIDENCE) if method else (_NORMAL,)
    rates = (discordance + drop) / 2, (discordance - drop) / 2
    mass, done, passes, fails, cases = np.ones((1, 1)), 0, 0.0, 0.0, 0.0
    for n, bound in zip(sizes, bounds, strict=True):
        mass, done = np.maximum(fftconvolve(mass, _trinomial(n - done, *rates)), 0), n
        score = _score(mass.shape, n, margin)
        passed, failed = mass[score <= -bound].sum(), mass[score >= bound].sum()
        passes, fails, cases = passes + passed, fails + failed, cases + n * (passed + failed)
        mass = np.where(abs(score) >= bound, 0, mass)
    return float(passes), float(fails), float(cases + planned * mass.sum())


def _score(shape: tuple[int, int], n: int, margin: float) -> NDArray[Any]:
    """Tango's statistic for every number of cases lost and won."""
    worse, better = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    linear = -worse - better + (2 * n - worse + better) * margin
    root = np.sqrt(np.maximum(0, linear**2 + 8 * n * better * margin * (1 - margin)))
    variance = n * ((root - linear) / (2 * n) + margin * (1 - margin))
    distance = worse - better - n * margin
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, distance / np.sqrt(variance), np.where(distance == 0, 0, distance * np.inf))


def _trinomial(n: int, worse: float, better: float) -> NDArray[Any]:
    counts = np.arange(n + 1)
    lost = binom.pmf(counts, n, worse)
    most = [int(np.nonzero(binom.pmf(counts, n, rate) > 1e-14)[0].max()) + 1 for rate in (worse, better)]
    rows = [lost[count] * binom.pmf(counts[: most[1]], n - count, better / (1 - worse)) for count in range(most[0])]
    return np.array(rows)


# --- tables -----------------------------------------------------------------------------------------------------------

_NAMES = "O'Brien-Fleming", "Pocock", "e-process"


def stopped_rates(report: Report) -> None:
    """Gates on a rate that stop when decided, beside the same gate over all cases."""
    columns = [f"{name} {what}" for name in _NAMES for what in ("passes", "cases", "right")]
    head = ("n", "truth", "all at once passes", *columns)
    report.table("A rate against 0.95, stopped when decided", head, _rate_rows(report))


def _rate_rows(report: Report) -> Iterator[Sequence[str]]:
    side = (1 - CONFIDENCE) / 2
    for n, truth in product(SIZES, TRUTHS):
        cells = []
        for method in METHODS:
            found = rate_figures(method, n, truth)
            if truth == BAR:
                report.at_most(side, found.passes, f"{method}, n {n}: a pass at the bar", exact=True)
                report.at_most(side, found.fails, f"{method}, n {n}: a fail at the bar", exact=True)
            report.at_most(1 - CONFIDENCE, 1 - found.covers, f"{method}, n {n}: a wrong interval", exact=True)
            cells += [percent(found.passes), f"{found.cases:,.0f}", percent(found.covers)]
        fixed = rate_chances(n, BAR, truth, confidence=CONFIDENCE).passes
        yield f"{n:,}", f"{truth}", percent(fixed), *cells


def stopped_drops(report: Report) -> None:
    """Gates on a drop of a model at the margin, and what they take of a model that is as good as the baseline."""
    columns = [f"{name} {what}" for name in ("all at once", *_NAMES[:2]) for what in ("passes", "fails")]
    cases = [f"{name} cases if equal" for name in _NAMES[:2]]
    head = ("n", "margin", "differ", *columns, *cases)
    report.table("A drop at the margin, stopped when decided", head, _drop_rows(report))


def _drop_rows(report: Report) -> Iterator[Sequence[str]]:
    for n, margin, discordance in product(PAIR_SIZES, PAIR_MARGINS, DISCORDANCES):
        cells = []
        for method in (None, *METHODS[:2]):
            passes, fails, _ = pair_figures(method, n, margin, margin, discordance)
            report.at_most(0.026, passes, f"{method}, n {n}, margin {margin}: a pass at the margin", exact=True)
            cells += [percent(passes), percent(fails)]
        cells += [f"{pair_figures(method, n, margin, 0.0, discordance)[2]:,.0f}" for method in METHODS[:2]]
        yield f"{n}", f"{margin}", f"{discordance}", *cells
