"""
How often verdicts are wrong: simulated runs whose true quality is known, judged by the project's own functions.

    python benchmarks/verdicts.py --runs 10000 --seed 1

Prints tables in Markdown, with exact binomial sums beside the simulated shares where there are any, and exits with 1
when a promise of docs/verdicts.md is broken. Needs scipy, which the test dependencies bring.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import product
from math import ceil, prod, sqrt
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from families import CASES, GATES, MARGIN, SLICES, judged, together
from families import PLANS as FAMILY_PLANS
from groups import DESIGNS, alarms, passed
from groups import PAIRS as GROUPED_PAIRS
from intervals import (
    CONFIDENCE,
    HAIR,
    REPEATS,
    Misses,
    Simulate,
    good_versions_failed,
    latencies,
    macro_f1s,
    means,
    paired,
    percent,
    rates,
)
from looks import stopped_drops, stopped_rates
from newcombe import newcombe_interval
from scipy import stats as reference  # type: ignore[import-untyped]

from pytest_finetune.base.records import Case, Completion, Sample, Score, State
from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.gates.bars import status_of
from pytest_finetune.verdicts.metrics import lay_out
from pytest_finetune.verdicts.rule import Rule
from pytest_finetune.verdicts.stats import (
    Interval,
    mcnemar,
    paired_interval,
    rate_interval,
    wilson_interval,
)
from pytest_finetune.verdicts.stats.power import cases_to_show_drop, cases_to_show_rate, rate_chances

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[Any]

SIZES = (20, 100, 500)
BARS = (0.8, 0.9, 0.95, 0.99)
MARGINS = (0.02, 0.05, 0.1)
SIDE = (1 - CONFIDENCE) / 2


@dataclass
class Report:
    """Tables as they are made, and the promises that did not hold."""

    runs: int
    rng: np.random.Generator
    seed: int = 1
    broken: list[str] = field(default_factory=list)

    def table(self, title: str, columns: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
        """Print a table in Markdown, row by row as they are found."""
        print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)

    def at_most(self, limit: float, share: float, promise: str, *, exact: bool = False) -> None:
        """Note a promise as broken; a simulated share may exceed its limit by what luck allows (4 standard errors)."""
        luck = HAIR if exact else 4 * sqrt(limit * (1 - limit) / self.runs)
        if share > limit + luck:
            self.broken.append(f"{promise}: {percent(share)}, promised at most {percent(limit)}")

    def at_least(self, limit: float, share: float, promise: str) -> None:
        """Note a promise as broken if a simulated share falls short of it by more than luck allows."""
        self.at_most(1 - limit, 1 - share, promise)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="simulated runs a point")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="append", default=[], help="only this table, by the name of its function")
    options = parser.parse_args()
    report = Report(options.runs, np.random.default_rng(options.seed), options.seed)
    print(f"{options.runs:,} runs a point, seed {options.seed}, confidence {CONFIDENCE}")
    tables: tuple[Callable[[Report], None], ...] = (
        judges,
        bars,
        costs,
        pair_costs,
        drops,
        methods,
        grouped,
        coverage,
        mcnemars,
        repeats,
        repeated_drops,
        grouped_pairs,
        many_gates,
        families,
        stopped_rates,
        stopped_drops,
        weighted,
        many_labels,
    )
    for table in tables:
        # Draws of its own for each table, so that one can be repeated without the others.
        report.rng = np.random.default_rng([options.seed, crc32(table.__name__.encode())])
        if not options.table or table.__name__ in options.table:
            table(report)
    print("\n" + ("\n".join(f"BROKEN: {promise}" for promise in report.broken) or "Every promise holds."))
    return 1 if report.broken else 0


# --- the whole judge against the interval that the other tables use -------------------------------------------------


def judges(report: Report) -> None:
    """Every count of passes, and every pair of flips, through `judge` itself."""

    def rows() -> Iterator[Sequence[str]]:
        by_rate = [
            verdict(Rule("min", bar=bar, confidence=CONFIDENCE), answers(passed, n)) is rate_status(passed, n, bar)
            for n, bar in product((20, 100), BARS)
            for passed in range(n + 1)
        ]
        yield "`min` over all counts, n of 20 and 100", f"{len(by_rate):,}", f"{by_rate.count(False)}"
        by_drop = [
            drop_verdict(lost, won, n, margin) is drop_status(lost, won, n, margin)
            for n, margin in product((20, 100), MARGINS)
            for lost, won in product(range(n // 2), repeat=2)
            if lost + won <= min(n, 20)
        ]
        yield "`max_drop` over pairs of flips, n of 20 and 100", f"{len(by_drop):,}", f"{by_drop.count(False)}"
        report.at_most(0, (by_rate + by_drop).count(False), "judge and interval agree", exact=True)

    report.table("The whole judge against the interval", ("gate", "verdicts", "that differ"), rows())


def answers(passed: int, n: int) -> list[bool]:
    return [number < passed for number in range(n)]


def samples(passes: Sequence[bool]) -> list[Sample]:
    return [
        Sample("set", str(number), 0, State.PASSED if passed else State.MISSED, Completion("text"), Score(passed))
        for number, passed in enumerate(passes)
    ]


def verdict(rule: Rule, passes: Sequence[bool], before: Sequence[bool] | None = None) -> Status:
    cases = [Case(str(number), number + 1, ()) for number in range(len(passes))]
    baseline = None if before is None else Baseline("production", "sha", 1, samples(before))
    return judge([rule], lay_out(cases, samples(passes), cases_sha256="sha"), baseline)[0].status


def drop_verdict(lost: int, won: int, n: int, margin: float) -> Status:
    rule = Rule("max_drop", bar=margin, against="production", confidence=CONFIDENCE)
    before = [number < lost or number >= lost + won for number in range(n)]
    now = [number >= lost for number in range(n)]
    return verdict(rule, now, before)


def rate_status(passed: int, n: int, bar: float) -> Status:
    interval = rate_interval(passed, n, confidence=CONFIDENCE)
    return status_of(Rule("min", bar=bar, confidence=CONFIDENCE), Fraction(passed, n), interval)


@cache
def drop_status(lost: int, won: int, n: int, margin: float) -> Status:
    interval = paired_interval(lost, won, n, confidence=CONFIDENCE)
    return status_of(Rule("max_drop", bar=margin, confidence=CONFIDENCE), Fraction(lost - won, n), interval)


# --- a rate just under its bar, a drop at its margin ----------------------------------------------------------------


def bars(report: Report) -> None:
    """A true rate just under the bar: how often the gate passes all the same."""

    def rows() -> Iterator[Sequence[str]]:
        for bar, n in product(BARS, SIZES):
            statuses = [rate_status(passed, n, bar) for passed in range(n + 1)]
            enough = statuses.index(Status.PASS) if Status.PASS in statuses else None
            exact = 0.0 if enough is None else float(reference.binom.sf(enough - 1, n, bar - HAIR))
            counts = report.rng.binomial(n, bar - HAIR, report.runs)
            simulated = sum(statuses[passed] is Status.PASS for passed in counts) / report.runs
            report.at_most(0.05, simulated, f"a rate under the bar {bar} passes, n = {n}")
            report.at_most(SIDE, exact, f"a rate under the bar {bar} passes, n = {n}, exactly", exact=True)
            yield f"{bar}", f"{n}", "none" if enough is None else f"{enough}", percent(simulated), percent(exact)

    columns = ("bar", "n", "fewest passes that pass", "passed, simulated", "exact")
    report.table("A true rate just under the bar", columns, rows())


def costs(report: Report) -> None:
    """What a verdict on a rate costs: cases whose interval clears the bar on average, and cases for 80 % power."""

    def rows() -> Iterator[Sequence[str]]:
        for bar, truth, confidence in PLANS:
            average = cases_that_clear(bar, truth, confidence)
            there = rate_chances(average, bar, truth, confidence=confidence).passes
            needed = cases_to_show_rate(bar, truth, confidence=confidence) or 0
            enough = statuses_by_count(needed, bar, confidence).index(Status.PASS)
            simulated = float((report.rng.binomial(needed, truth, report.runs) >= enough).mean())
            report.at_least(0.8, simulated, f"{needed} cases show {truth} against {bar}")
            cases = f"{average:,}", percent(there), f"{needed:,}", percent(simulated)
            yield f"{bar}", f"{truth}", f"{confidence}", *cases

    columns = ("bar", "truth", "confidence", "the interval clears it at", "power there", "cases for 80 %", "simulated")
    report.table("What a verdict on a rate costs", columns, rows())


PLANS = ((0.95, 0.97, 0.95), (0.95, 0.97, 0.9), (0.95, 0.99, 0.95), (0.9, 0.93, 0.95), (0.9, 0.95, 0.95))
"""Bar, true rate and confidence."""


def cases_that_clear(bar: float, truth: float, confidence: float) -> int:
    """The cases with which the interval of exactly this rate just clears the bar: no statement of power."""
    n = 10
    while rate_interval(truth * n, n, confidence=confidence).low < bar:
        n += 10
    return n


def statuses_by_count(n: int, bar: float, confidence: float) -> list[Status]:
    rule = Rule("min", bar=bar, confidence=confidence)
    return [
        status_of(rule, Fraction(passed, n), rate_interval(passed, n, confidence=confidence)) for passed in range(n + 1)
    ]


def pair_costs(report: Report) -> None:
    """What a verdict on a drop costs, beside the normal formula of evalsig's `required_n`."""

    def rows() -> Iterator[Sequence[str]]:
        for margin, drop, discordance in PAIR_PLANS:
            needed = cases_to_show_drop(margin, drop, discordance, confidence=CONFIDENCE) or 0
            normal = ceil((2.8016 / (margin - drop)) ** 2 * (discordance - drop**2))
            chances = ((discordance + drop) / 2, (discordance - drop) / 2, 1 - discordance)
            pairs = report.rng.multinomial(needed, chances, report.runs)[:, :2].tolist()
            simulated = sum(drop_status(*pair, needed, margin) is Status.PASS for pair in pairs) / report.runs
            report.at_least(0.8, simulated, f"{needed} pairs show a drop of {drop} against {margin}")
            yield f"{margin}", f"{drop}", percent(discordance), f"{normal:,}", f"{needed:,}", percent(simulated)

    columns = ("max_drop", "true drop", "cases that differ", "evalsig's required_n", "cases for 80 %", "simulated")
    report.table("What a verdict on a drop costs", columns, rows())


PAIR_PLANS = ((0.02, 0.0, 0.05), (0.02, 0.0, 0.1), (0.05, 0.0, 0.1), (0.05, 0.02, 0.1), (0.05, 0.0, 0.2))
"""Largest drop, true drop, and share of the cases that only one of the two models passes."""


def drops(report: Report) -> None:
    """A true drop at the margin: how often the gate calls the model no worse, by how alike the two models err."""

    def rows() -> Iterator[Sequence[str]]:
        for margin, n in product(MARGINS, SIZES):
            for likeness, won in correlations(0.9, margin):
                chances = (won + margin, won, 1 - margin - 2 * won)
                counts = Counter(map(tuple, report.rng.multinomial(n, chances, report.runs)[:, :2].tolist()))
                simulated = share_passed(counts, n, margin) / report.runs
                exact = share_passed(pair_chances(n, *chances), n, margin)
                promise = f"a drop at the margin {margin} passes, n = {n}, {likeness}"
                report.at_most(0.05, simulated, promise)
                report.at_most(0.05, exact, promise + ", exactly", exact=True)
                yield f"{margin}", f"{n}", likeness, percent(won + margin), percent(simulated), percent(exact)

    columns = ("max_drop", "n", "correlation", "cases lost", "passed, simulated", "exact")
    report.table("A true drop at the margin, from a baseline of 0.9", columns, rows())


def correlations(rate: float, drop: float) -> Iterator[tuple[str, float]]:
    """The share of cases that only the worse model passes, for models from unrelated to as alike as they can be."""
    after = rate - drop
    spread = sqrt(rate * (1 - rate) * after * (1 - after))
    highest = (after - rate * after) / spread
    for correlation in (0.0, 0.5):
        yield f"{correlation}", after - rate * after - correlation * spread
    yield f"highest ({highest:.2f})", 0.0


def share_passed(chances: dict[tuple[int, int], Any], n: int, margin: float) -> float:
    return float(
        sum(share for (lost, won), share in chances.items() if drop_status(lost, won, n, margin) is Status.PASS)
    )


def pair_chances(n: int, lost: float, won: float, same: float) -> dict[tuple[int, int], float]:
    """The chance of each pair of counts; those under a millionth on either axis are left out."""
    chances: dict[tuple[int, int], float] = {}
    by_lost = reference.binom.pmf(np.arange(n + 1), n, lost)
    for worse in np.flatnonzero(by_lost > 1e-6):
        by_won = reference.binom.pmf(np.arange(n - worse + 1), n - worse, won / (won + same))
        for better in np.flatnonzero(by_won > 1e-6):
            chances[int(worse), int(better)] = float(by_lost[worse] * by_won[better])
    return chances


def methods(report: Report) -> None:
    """A drop at the margin, by Tango's interval and by Newcombe's, where few cases differ."""

    def rows() -> Iterator[Sequence[str]]:
        for margin, n, differing in PAIRS:
            yield f"{margin}", f"{n}", percent(differing), *map(percent, errors_of_methods(margin, n, differing))

    columns = ("max_drop", "n", "cases that differ", "Tango passes", "fails", "Newcombe passes", "fails")
    report.table("A drop at the margin by two methods", columns, rows())


PAIRS = tuple((margin, n, margin + more) for margin, n, more in product((0.02, 0.05), (100, 200), (0.0, 0.02, 0.05)))
"""Margin, which is the true drop, cases, and the share of them in which the models differ."""


def errors_of_methods(margin: float, n: int, differing: float) -> tuple[float, float, float, float]:
    """Exact shares of runs that pass and fail at the margin, by Tango's interval and by Newcombe's."""
    found = [0.0] * 4
    chances = (differing + margin) / 2, (differing - margin) / 2, 1 - differing
    for (lost, won), chance in pair_chances(n, *chances).items():
        # The baseline passes nine in ten of the cases in which both agree.
        both = round((n - lost - won) * 0.9)
        tango = paired_interval(lost, won, n, confidence=CONFIDENCE)
        newcombe = newcombe_interval(lost, won, both, n - lost - won - both)
        for at, interval in ((0, tango), (2, newcombe)):
            found[at] += chance * (interval.high <= margin)
            found[at + 1] += chance * (interval.low > margin)
    return found[0], found[1], found[2], found[3]


def grouped(report: Report) -> None:
    """Cases in groups, a model at the bar: how often it passes."""

    def rows() -> Iterator[Sequence[str]]:
        for design in DESIGNS:
            groups, size, likeness, bar = design
            shares = passed(report.rng, min(report.runs, 2000), design)
            report.at_most(0.05, shares[2], f"a rate at the bar {bar} passes, {groups} groups of {size}")
            yield f"{groups} x {size}", f"{likeness}", f"{bar}", *map(percent, shares)

    columns = ("groups x cases", "correlation", "bar", "passed, counting cases", "Korn and Graubard", "as gates count")
    report.table("Cases in groups, a model at the bar", columns, rows())


def grouped_pairs(report: Report) -> None:
    """Two equally good models over cases in groups: how often each test says p < 0.05."""

    def rows() -> Iterator[Sequence[str]]:
        # Draws of its own, so that the other tables do not depend on this one.
        rng, runs = np.random.default_rng(report.seed), min(report.runs, 2000)
        for design in GROUPED_PAIRS:
            groups, size, likeness, differing = design
            by_cases, by_groups = alarms(rng, runs, design)
            report.at_most(0.05, by_groups, f"false alarm of the test of groups, {groups} of {size}, {likeness}")
            yield f"{groups} x {size}", f"{likeness}", percent(differing), percent(by_cases), percent(by_groups)

    columns = ("groups x cases", "correlation", "cases that differ", "McNemar p < 0.05", "test of groups p < 0.05")
    report.table("Two equally good models, cases in groups", columns, rows())


# --- several gates --------------------------------------------------------------------------------------------------


def many_gates(report: Report) -> None:
    """Ten independent gates together."""

    def rows() -> Iterator[Sequence[str]]:
        for bar, truth, confidence in FAMILY_PLANS:
            all_pass, some_fails = together(bar, truth, confidence)
            level = "none" if confidence is None else f"{confidence}"
            yield f"{bar}", f"{truth}", level, f"{all_pass * 100:.2f} %", percent(some_fails)

    columns = ("bar", "truth", "confidence", "all pass", "some fails")
    report.table(f"{GATES} independent gates over {CASES} cases each", columns, rows())


def families(report: Report) -> None:
    """Ten slices compared with a baseline, each gate alone and as a family."""

    def rows() -> Iterator[Sequence[str]]:
        rng = np.random.default_rng(report.seed)
        for worse, differing in SLICES:
            alone, shared = judged(rng, report.runs, worse, differing)
            # Tango's interval is approximate: a single gate passes at the margin in up to 2.6 %, and fails in 4.9 %.
            report.at_most(SIDE * 1.2, shared.wrong_pass, f"any wrong pass of a family, {worse} slices at the margin")
            report.at_most(0.05, shared.wrong_fail, f"any wrong fail of a family, {worse} slices at the margin")
            wrong = (percent(share) for one in (alone, shared) for share in (one.wrong_pass, one.wrong_fail))
            yield f"{worse}", percent(differing), *wrong, percent(alone.all_pass), percent(shared.all_pass)

    columns = (
        "slices at the margin",
        "cases that differ",
        "alone, any wrong pass",
        "any wrong fail",
        "Holm, any wrong pass",
        "any wrong fail",
        "alone, all pass",
        "Holm, all pass",
    )
    report.table(f"{GATES} slices of {CASES} cases, max_drop {MARGIN}", columns, rows())


# --- coverage -------------------------------------------------------------------------------------------------------


def coverage(report: Report) -> None:
    """How often an interval holds the truth, and how often it lies above it and below it."""

    def rows() -> Iterator[Sequence[str]]:
        for interval, truth, simulate, above, below in truths():
            runs = min(report.runs, RUNS_WITH_LABELS.get(truth.partition(" right, ")[2], report.runs))
            found = [simulate(report.rng, runs, n) for n in SIZES]
            for misses, n in zip(found, SIZES, strict=True):
                report.at_most(above, misses.above, f"{interval} lies above the truth: {truth}, n = {n}")
                report.at_most(below, misses.below, f"{interval} lies below the truth: {truth}, n = {n}")
            yield interval, truth, *(misses.cell for misses in found)

    report.table("Coverage at a nominal 95 %", ("interval", "truth", *(f"n = {n}" for n in SIZES)), rows())


def weighted(report: Report) -> None:
    """The interval of weighted F1, whose labels weigh what their cases are."""

    def rows() -> Iterator[Sequence[str]]:
        rng = np.random.default_rng(report.seed)
        for accuracy, (spread, shares) in product((0.8, 0.95), LABELS.items()):
            runs = min(report.runs, RUNS_WITH_LABELS.get(spread, 4000))
            found = [macro_f1s(accuracy, shares, weighted=True)(rng, runs, n) for n in SIZES]
            for misses, n in zip(found, SIZES, strict=True):
                report.at_most(SIDE, misses.above, f"weighted F1 lies above the truth: {accuracy}, {spread}, n = {n}")
                report.at_most(SIDE, misses.below, f"weighted F1 lies below the truth: {accuracy}, {spread}, n = {n}")
            yield f"{accuracy} right, {spread}", *(misses.cell for misses in found)

    report.table("Coverage of weighted F1", ("truth", *(f"n = {n}" for n in SIZES)), rows())


def many_labels(report: Report) -> None:
    """The upper end of macro F1 with many labels of few cases, with and without its corrections."""

    def rows() -> Iterator[Sequence[str]]:
        rng, runs = np.random.default_rng(report.seed), min(report.runs, 600)
        for design in MANY_LABELS:
            labels, n, right = design
            before, now = good_versions_failed(rng, runs, design)
            report.at_most(SIDE, now, f"macro F1 fails a good version, {labels} labels, {n} cases")
            yield f"{labels}", f"{n}", f"{right}", percent(before), percent(now)

    columns = ("labels", "n", "right", "below the truth, uncorrected", "as it is")
    report.table("The upper end of macro F1 with many labels", columns, rows())


MANY_LABELS = ((10, 100, 0.9), (20, 200, 0.9), (50, 250, 0.9), (77, 770, 0.9), (150, 750, 0.9))
"""Labels, cases, and the probability of a right answer."""


def truths() -> Iterator[tuple[str, str, Simulate, float, float]]:
    """Each interval with a truth, and how often it may lie above and below it; 1 where nothing is promised."""
    for rate in (0.5, *BARS):
        yield "rate, exact", f"{rate}", rates(rate_interval, rate), SIDE, SIDE
    for rate in (0.5, *BARS):
        yield "rate, Wilson (not used)", f"{rate}", rates(wilson_interval, rate), 1, 1
    for likeness, won in correlations(0.9, 0.05):
        yield "paired difference", f"0.05, correlation {likeness}", paired(0.05, won), 0.05, 0.05
    for accuracy, (spread, shares) in product((0.8, 0.95), LABELS.items()):
        yield "macro F1", f"{accuracy} right, {spread}", macro_f1s(accuracy, shares), SIDE, SIDE
    for quantile, alike in product((0.5, 0.95), (None, 0.0, 0.9)):
        asked = "asked once" if alike is None else f"asked {REPEATS} times, correlation {alike}"
        yield f"latency p{quantile * 100:g}", f"log-normal, {asked}", latencies(quantile, alike), SIDE, SIDE
    for shape in ("normal", "exponential", "log-normal"):
        yield "mean of tokens or cost", shape, means(shape), 1, 1


LABELS = {
    "4 labels of 25 %": (0.25,) * 4,
    "4 labels of 60, 25, 10, 5 %": (0.6, 0.25, 0.1, 0.05),
    "10 labels of 10 %": (0.1,) * 10,
    "50 labels of 2 %": (0.02,) * 50,
}
"""How the cases spread over the labels that they expect."""

RUNS_WITH_LABELS = {"10 labels of 10 %": 4000, "50 labels of 2 %": 1000}
"""Most runs for tables of many labels, which are slow."""


# --- McNemar, repeats -----------------------------------------------------------------------------------------------


def mcnemars(report: Report) -> None:
    """Two equally good models: how often exact McNemar says p < 0.05."""

    def rows() -> Iterator[Sequence[str]]:
        for differing, n in product((0.05, 0.2, 0.5), SIZES):
            half = (differing / 2, differing / 2, 1 - differing)
            pairs = report.rng.multinomial(n, half, report.runs)[:, :2].tolist()
            simulated = sum(mcnemar(*pair) < 0.05 for pair in pairs) / report.runs
            exact = sum(chance for pair, chance in pair_chances(n, *half).items() if mcnemar(*pair) < 0.05)
            report.at_most(0.05, simulated, f"McNemar's false alarm, {differing} differ, n = {n}")
            report.at_most(0.05, exact, f"McNemar's false alarm, {differing} differ, n = {n}, exactly", exact=True)
            yield percent(differing), f"{n}", percent(simulated), percent(exact)

    columns = ("cases that differ", "n", "p < 0.05, simulated", "exact")
    report.table("Exact McNemar between two equally good models", columns, rows())


@dataclass(frozen=True)
class Difficulty:
    """
    How the cases' own chances vary about 0.9: the wider they do, the less a repeat adds.

    `draw` gives chances for an array of cases, `after` those of a model that is worse by 0.05 on average, and
    `stable` is the mean of their fifth power.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Numbers]
    after: Callable[[np.random.Generator, Numbers], Numbers]
    stable: float


DIFFICULTIES = (
    Difficulty("all alike", lambda _, size: np.full(size, 0.9), lambda _, before: before - 0.05, 0.9**REPEATS),
    Difficulty(
        "of varying difficulty",
        lambda rng, size: rng.beta(1.8, 0.2, size),
        lambda _, before: before * (0.85 / 0.9),
        prod((1.8 + power) / (2 + power) for power in range(REPEATS)),
    ),
    Difficulty(
        "always or never right",
        lambda rng, size: (rng.random(size) < 0.9).astype(float),
        lambda rng, before: (rng.random(before.shape) < 0.85).astype(float),
        0.9,
    ),
)


def repeats(report: Report) -> None:
    """Cases asked five times: coverage where the interval counts cases, and where it would count answers."""

    def rows() -> Iterator[Sequence[str]]:
        for cases, n in product(DIFFICULTIES, SIZES):
            passes = report.rng.binomial(REPEATS, cases.draw(report.rng, (report.runs, n)))
            right, stable = passes.sum(axis=1), (passes == REPEATS).sum(axis=1)
            by_case = Misses.of([shares_interval(int(count), REPEATS, n) for count in right], 0.9)
            by_answer = Misses.of([shares_interval(int(count), 1, n * REPEATS) for count in right], 0.9)
            stability = Misses.of([shares_interval(int(count), 1, n) for count in stable], cases.stable)
            for misses, metric in ((by_case, "accuracy"), (stability, "format_stability")):
                report.at_most(SIDE, misses.worse, f"a bound is wrong: {metric} of repeats, {cases.name}, n = {n}")
            yield cases.name, f"{n}", by_case.cell, by_answer.cell, stability.cell

    columns = ("cases", "n", "accuracy, by cases", "by answers (not used)", "format_stability")
    report.table(f"Cases asked {REPEATS} times, 0.9 right on average", columns, rows())


@cache
def shares_interval(count: int, of: int, n: int) -> Interval:
    return rate_interval(count / of, n, confidence=CONFIDENCE)


def repeated_drops(report: Report) -> None:
    """Two models, each asked five times a case, 0.05 apart: shares of passes in place of whole flips."""

    def rows() -> Iterator[Sequence[str]]:
        for cases, n in product(DIFFICULTIES, SIZES):
            before = cases.draw(report.rng, (report.runs, n))
            after = cases.after(report.rng, before)
            falls = report.rng.binomial(REPEATS, before) - report.rng.binomial(REPEATS, after)
            pairs = np.stack([falls.clip(min=0).sum(axis=1), (-falls).clip(min=0).sum(axis=1)], axis=1) / REPEATS
            bounds = [paired_interval(*pair, n, confidence=CONFIDENCE) for pair in pairs.tolist()]
            passed = sum(interval.high <= 0.05 for interval in bounds) / report.runs
            report.at_most(0.05, passed, f"a drop at the margin passes with repeats, {cases.name}, n = {n}")
            yield cases.name, f"{n}", percent(passed), Misses.of(bounds, 0.05).cell

    columns = ("cases", "n", "passed max_drop 0.05", "coverage")
    report.table(f"A true drop of 0.05, both models asked {REPEATS} times", columns, rows())


if __name__ == "__main__":
    sys.exit(main())
