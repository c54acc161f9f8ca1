"""The promises and quotes of docs/verdicts.md, recomputed by exact sums instead of simulation."""

from __future__ import annotations

import importlib
import re
from itertools import product
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy_stats as reference
from sample_plans import cases, rules, run_of, sample
from sample_plans import table as plan_table

from pytest_finetune.verdicts.evalset.gate_metrics import METRICS
from pytest_finetune.verdicts.evalset.gate_settings import GATE_KEYS
from pytest_finetune.verdicts.gates import Baseline, Status, impossible, judge
from pytest_finetune.verdicts.metrics import summarize
from pytest_finetune.verdicts.rule import Rule
from pytest_finetune.verdicts.stats import cases_to_ever_pass, mcnemar, paired_interval, rate_interval, wilson_interval
from pytest_finetune.verdicts.stats.power import cases_to_show_drop, cases_to_show_rate, rate_chances

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.verdicts.gates import Verdict

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "verdicts.md").read_text("utf-8")
SIDE = 0.025
KEYS = dict.fromkeys(key for keys in GATE_KEYS.values() for key in keys)


def table(title: str) -> list[list[str]]:
    """The rows of the measured table under a heading."""
    lines = PAGE.split(f"### {title}\n\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def verdict(passed: int, n: int, **rule: Any) -> Verdict:
    return judge(rules(rule), plan_table(cases(n), run_of(passed, n - passed)))[0]


@pytest.mark.parametrize("word", [*METRICS, *KEYS, *Status])
def test_every_metric_gate_key_and_verdict_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize(
    ("passed", "n", "rule", "status"),
    [
        (19, 20, {"min": 0.95}, Status.PASS),
        (96, 100, {"min": 0.9, "confidence": 0.95}, Status.PASS),
        (96, 100, {"min": 0.95, "confidence": 0.95}, Status.INCONCLUSIVE),
        (83, 100, {"min": 0.9, "confidence": 0.95}, Status.FAIL),
    ],
)
def test_the_page_quotes_what_gates_say(passed: int, n: int, rule: dict[str, Any], status: Status) -> None:
    found = verdict(passed, n, **rule)
    assert found.status is status
    assert f"\n{found.message}\n" in PAGE


def test_the_page_quotes_the_impossible_gate_and_the_sizes() -> None:
    (rule,) = rules({"min": 0.999, "confidence": 0.95})
    assert f"\n{impossible(rule, 200)}\n" in PAGE
    sizes = [f"{cases_to_ever_pass(bar, 0.95):,}" for bar in (0.8, 0.9, 0.95, 0.99, 0.995, 0.999)]
    assert f"| cases | {' | '.join(sizes)} |" in PAGE


@pytest.mark.parametrize(("drop", "needed"), [(0.02, 189), (0.05, 73)])
def test_how_many_cases_without_a_flip_show_a_drop(drop: float, needed: int) -> None:
    assert paired_interval(0, 0, needed).high <= drop < paired_interval(0, 0, needed - 1).high


def test_figures_in_the_text_are_true() -> None:
    assert reference.binom.sf(18, 20, 0.85) == pytest.approx(0.176, abs=5e-4)
    assert wilson_interval(19, 20).high < 0.9912
    assert reference.binom.cdf(19, 20, 0.9912) == pytest.approx(0.16, abs=5e-3)
    assert wilson_interval(5, 5).low > 0.565
    assert reference.binom.sf(4, 5, 0.565) == pytest.approx(0.058, abs=5e-4)
    assert rate_interval(200, 200).low == pytest.approx(0.982, abs=5e-4)
    assert reference.binom.sf(4, 5, 0.98) == pytest.approx(0.9, abs=5e-3)
    assert paired_interval(5, 5, 500).high == pytest.approx(0.0145, abs=5e-5)
    assert mcnemar(3, 1) == 0.625


@pytest.mark.slow
@pytest.mark.parametrize("bar", [0.8, 0.9, 0.95, 0.99])
def test_a_rate_just_under_the_bar_passes_at_most_as_promised(bar: float) -> None:
    """Judged for every count, weighted by its probability: the exact column of the page."""
    measured = {(row[0], row[1]): (row[2], row[4]) for row in table("A true rate just under the bar")}
    for n in (20, 100):
        statuses = [verdict(passed, n, min=bar, confidence=0.95).status for passed in range(n + 1)]
        passing = [passed for passed, status in enumerate(statuses) if status is Status.PASS]
        chance = sum(reference.binom.pmf(passed, n, bar - 1e-9) for passed in passing)
        assert chance <= SIDE
        assert measured[f"{bar}", f"{n}"] == (str(min(passing, default="none")), percent(chance))


@pytest.mark.parametrize("n", [20, 100, 500])
@pytest.mark.parametrize("rate", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_neither_bound_of_a_rate_is_wrong_more_often_than_promised(rate: float, n: int) -> None:
    chances = reference.binom.pmf(range(n + 1), n, rate)
    likely = [(passed, float(chance)) for passed, chance in enumerate(chances) if chance > 1e-9]
    intervals = {passed: rate_interval(passed, n) for passed, _ in likely}
    assert sum(chance for passed, chance in likely if intervals[passed].low > rate) <= SIDE
    assert sum(chance for passed, chance in likely if intervals[passed].high < rate) <= SIDE


def pairs(n: int, lost: float, won: float) -> Iterator[tuple[int, int, float]]:
    """Cases lost and won with their probability, without the least likely millionth of each."""
    for worse in range(n + 1):
        chance = reference.binom.pmf(worse, n, lost)
        if chance > 1e-6:
            also = reference.binom.pmf(range(n - worse + 1), n - worse, won / (1 - lost))
            yield from ((worse, int(better), chance * also[better]) for better in np.flatnonzero(also > 1e-6))


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1])
def test_a_drop_at_the_margin_passes_at_most_as_promised(margin: float) -> None:
    measured = {tuple(row[:3]): row[5] for row in table("A true drop at the margin, from a baseline of 0.9")}
    after = 0.9 - margin
    for n, correlation in product((20, 100), (0.0, 0.5)):
        won = after * 0.1 - correlation * sqrt(0.09 * after * (1 - after))
        chance = sum(
            share
            for lost, gained, share in pairs(n, won + margin, won)
            if paired_interval(lost, gained, n).high <= margin
        )
        assert chance <= 0.05
        assert measured[f"{margin}", f"{n}", f"{correlation}"] == percent(chance)


def test_the_costs_of_verdicts_on_the_page_are_exact(simulation: Any) -> None:
    rates = {tuple(map(float, row[:3])): row for row in table("What a verdict on a rate costs")}
    assert set(rates) == set(simulation.PLANS)
    for (bar, truth, confidence), row in rates.items():
        clears = int(row[3].replace(",", ""))
        assert percent(rate_chances(clears, bar, truth, confidence=confidence).passes) == row[4]
        assert f"{cases_to_show_rate(bar, truth, confidence=confidence):,}" == row[5]
    for row in table("What a verdict on a drop costs"):
        margin, drop = float(row[0]), float(row[1])
        needed = cases_to_show_drop(margin, drop, float(row[2].split()[0]) / 100, confidence=0.95)
        assert f"{needed:,}" == row[4]


def test_tango_and_newcombe_err_at_the_margin_as_the_page_says(simulation: Any) -> None:
    rows = table("A drop at the margin by two methods")
    assert len(rows) == len(simulation.PAIRS)
    for (margin, n, differing), row in zip(simulation.PAIRS, rows, strict=True):
        assert row == [
            f"{margin}", f"{n}", percent(differing), *map(percent, simulation.errors_of_methods(margin, n, differing))
        ]  # fmt: skip
    assert max(float(row[4].split()[0]) for row in rows) == 4.9
    assert max(float(row[6].split()[0]) for row in rows) == 1.7


def test_newcombes_interval_is_that_of_his_example(simulation: Any) -> None:
    """Newcombe (1998): of 50 cases 36 in both, 12 and 2 in one, 0 in none; method 10 gives 0.0569 to 0.3404."""
    found = simulation.newcombe_interval(12, 2, 36, 0)
    assert (found.low, found.high) == (pytest.approx(0.0569, abs=5e-5), pytest.approx(0.3404, abs=5e-5))


@pytest.mark.parametrize(("attempts", "common", "pairs"), [(3, "0.910", "0.820"), (5, "0.902", "0.820")])
def test_agreement_depends_on_the_attempts_and_that_of_pairs_does_not(attempts: int, common: str, pairs: str) -> None:
    """The mean over all sequences of an answer with probability 0.9 and one with 0.1."""
    means = dict.fromkeys(("agreement", "pairwise_agreement"), 0.0)
    for answers in product("ab", repeat=attempts):
        chance = 0.9 ** answers.count("a") * 0.1 ** answers.count("b")
        samples = [sample(0, attempt=number, text=text) for number, text in enumerate(answers)]
        summary = summarize(samples, cases(1), repeats=attempts)
        for metric in means:
            means[metric] += chance * float(summary.value(metric).exact or 0)
    assert [f"{mean:.3f}" for mean in means.values()] == [common, pairs]
    assert f"{common} on average at 3 attempts" in PAGE or f"{common} at 5" in PAGE


def test_a_gate_on_a_drop_decides_by_the_paired_interval() -> None:
    rule = Rule("max_drop", bar=0.1, against="production", confidence=0.95)
    for lost in range(21):
        baseline = Baseline("production", "today", 1, run_of(20))
        found = judge([rule], plan_table(cases(20), run_of(20 - lost, lost)), baseline)[0]
        assert (found.status is Status.PASS) is (paired_interval(lost, 0, 20).high <= 0.1)
        assert (found.status is Status.FAIL) is (paired_interval(lost, 0, 20).low > 0.1)


def test_mcnemar_sets_equal_models_apart_at_most_as_promised() -> None:
    measured = {(row[0], row[1]): row[3] for row in table("Exact McNemar between two equally good models")}
    for differing, n in product((0.05, 0.2, 0.5), (20, 100)):
        half = differing / 2
        alarms = sum(share for lost, won, share in pairs(n, half, half) if mcnemar(lost, won) < 0.05)
        assert alarms <= 0.05
        assert measured[percent(differing), f"{n}"] == percent(alarms)


def miss_chances(by_case: np.ndarray[Any, Any], n: int, independent: int) -> tuple[float, float]:
    """The probability that the interval of n cases with 5 attempts is above or below the truth, by convolution."""
    chances = np.array([1.0])
    for _ in range(n):
        chances = np.convolve(chances, by_case)
    truth = float(by_case @ np.arange(6)) / 5
    likely = [int(right) for right in np.flatnonzero(chances > 1e-9)]
    intervals = {right: rate_interval(right * independent / (5 * n), independent) for right in likely}
    above = sum(chances[right] for right in likely if intervals[right].low > truth + 1e-9)
    below = sum(chances[right] for right in likely if intervals[right].high < truth - 1e-9)
    return float(above), float(below)


@pytest.mark.parametrize(
    "by_case",
    [
        reference.binom.pmf(range(6), 5, 0.9),
        reference.betabinom.pmf(range(6), 5, 1.8, 0.2),
        np.array([0.1, 0, 0, 0, 0, 0.9]),
    ],
    ids=["all cases alike", "of varying difficulty", "always or never right"],
)
@pytest.mark.parametrize("n", [20, 100])
def test_with_repeats_an_interval_over_cases_keeps_the_promise(by_case: np.ndarray[Any, Any], n: int) -> None:
    assert max(miss_chances(by_case, n, n)) <= SIDE


def test_an_interval_over_answers_would_break_the_promise() -> None:
    assert min(miss_chances(reference.betabinom.pmf(range(6), 5, 1.8, 0.2), 100, 500)) > 0.08


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("verdicts")


@pytest.mark.slow
def test_the_simulation_prints_the_tables_of_the_page(simulation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    report = simulation.Report(200, np.random.default_rng(1))
    simulation.bars(report)
    simulation.mcnemars(report)
    simulation.costs(report)
    simulation.pair_costs(report)
    printed = capsys.readouterr().out
    assert report.broken == []
    assert all(f"### {title}\n" in PAGE for title in re.findall("### (.*)\n", printed))


def test_the_simulation_notices_a_broken_promise(simulation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "rate_interval", lambda passed, n, **_: rate_interval(passed, n, confidence=0.8))
    report = simulation.Report(200, np.random.default_rng(1))
    simulation.bars(report)
    assert report.broken


def test_the_chances_of_ten_gates_together_are_those_of_the_page(simulation: Any) -> None:
    rows = table("10 independent gates over 200 cases each")
    assert len(rows) == len(simulation.FAMILY_PLANS)
    for row, plan in zip(rows, simulation.FAMILY_PLANS, strict=True):
        bar, truth, confidence = plan
        enough = next(
            n for n in range(201) if (n >= bar * 200 if confidence is None else rate_interval(n, 200).low >= bar)
        )
        all_pass = reference.binom.sf(enough - 1, 200, truth) ** 10
        assert row[:3] == [f"{bar}", f"{truth}", "none" if confidence is None else f"{confidence}"]
        assert row[3] == f"{all_pass * 100:.2f} %"
        if confidence is None:
            assert row[4] == percent(1 - reference.binom.sf(enough - 1, 200, truth) ** 10)
    assert [row[3] for row in rows[:2]] == ["0.04 %", "32.07 %"]
    assert rows[3][4] == "72.9 %"


def test_a_family_keeps_the_level_of_one_gate_as_the_page_says(simulation: Any) -> None:
    rng, runs = np.random.default_rng(8), 400
    rows = table("10 slices of 200 cases, max_drop 0.05")
    assert len(rows) == len(simulation.SLICES)
    for row, (worse, differing) in zip(rows, simulation.SLICES, strict=True):
        stated = [float(cell.split()[0]) / 100 for cell in row[2:]]
        alone, shared = simulation.judged(rng, runs, worse, differing)
        single = alone.wrong_pass, alone.wrong_fail, shared.wrong_pass, shared.wrong_fail
        for share, promised in zip((*single, alone.all_pass, shared.all_pass), stated, strict=True):
            assert share == pytest.approx(promised, abs=4 * (max(promised, 0.003) / runs) ** 0.5)
        assert max(stated[2:4]) <= 0.03


@pytest.mark.slow
def test_weighted_f1_is_outside_its_interval_as_seldom_as_the_page_says(simulation: Any) -> None:
    rows = table("Coverage of weighted F1")
    assert len(rows) == 2 * len(simulation.LABELS)
    for row in rows:
        for cell in row[1:]:
            above, below = map(float, re.findall(r"[0-9.]+", cell)[1:])
            assert max(above, below) <= 2.5
    rng, runs, shares = np.random.default_rng(9), 400, (0.6, 0.25, 0.1, 0.05)
    (row,) = (row for row in rows if row[0] == "0.8 right, 4 labels of 60, 25, 10, 5 %")
    for cell, n in zip(row[1:3], (20, 100), strict=True):
        found = simulation.macro_f1s(0.8, shares, weighted=True)(rng, runs, n)
        stated = [float(share) / 100 for share in re.findall(r"[0-9.]+", cell)[1:]]
        for share, promised in zip((found.above, found.below), stated, strict=True):
            assert share == pytest.approx(promised, abs=4 * (max(promised, 0.003) / runs) ** 0.5)


@pytest.mark.slow
def test_the_table_of_stopped_rates_and_its_summary_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    looks = importlib.import_module("looks")
    rows = table("A rate against 0.95, stopped when decided")
    assert [(row[0], row[1]) for row in rows] == [(f"{n:,}", str(p)) for n in looks.SIZES for p in looks.TRUTHS]
    for n, truth, fixed, *cells in rows:
        planned = int(n.replace(",", ""))
        assert fixed == percent(rate_chances(planned, 0.95, float(truth), confidence=0.95).passes)
        for at, method in enumerate(looks.METHODS):
            found = looks.rate_figures(method, planned, float(truth))
            shown = [percent(found.passes), f"{found.cases:,.0f}", percent(found.covers)]
            assert cells[3 * at : 3 * at + 3] == shown
            assert found.covers >= 0.95
            assert float(truth) > 0.95 or max(found.passes, found.fails) <= SIDE
    for planned, truth, saved in ((500, 0.97, 9), (500, 0.98, 26), (500, 0.99, 41), (2000, 0.99, 65)):
        assert round(100 * (1 - looks.rate_figures("obrien-fleming", planned, truth).cases / planned)) == saved
        assert f"{saved} % fewer" in PAGE


@pytest.mark.slow
def test_the_table_of_stopped_drops_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    looks = importlib.import_module("looks")
    rows = table("A drop at the margin, stopped when decided")
    assert len(rows) == len(looks.PAIR_SIZES) * len(looks.PAIR_MARGINS) * len(looks.DISCORDANCES)
    for n, margin, differ, *cells in rows:
        passes_and_fails = [float(cell.removesuffix(" %")) for cell in cells[:6]]
        assert max(passes_and_fails[::2]) <= 2.5
        if n != "200":
            continue
        at_margin = [
            share
            for method in (None, "obrien-fleming", "pocock")
            for share in looks.pair_figures(method, int(n), float(margin), float(margin), float(differ))[:2]
        ]
        assert cells[:6] == list(map(percent, at_margin))
        equal = [
            looks.pair_figures(method, int(n), float(margin), 0.0, float(differ))[2] for method in looks.METHODS[:2]
        ]
        assert cells[6:] == [f"{cases:,.0f}" for cases in equal]


def test_the_upper_end_of_macro_f1_fails_good_versions_as_seldom_as_the_page_says(simulation: Any) -> None:
    rows = table("The upper end of macro F1 with many labels")
    assert [tuple(map(float, row[:3])) for row in rows] == list(simulation.MANY_LABELS)
    shares = [[float(cell.split()[0]) / 100 for cell in row[3:]] for row in rows]
    assert all(before > 0.04 and now <= SIDE for before, now in shares)
    rng, runs = np.random.default_rng(10), 300
    for share, promised in zip(
        simulation.good_versions_failed(rng, runs, simulation.MANY_LABELS[0]), shares[0], strict=True
    ):
        assert share == pytest.approx(promised, abs=4 * (promised / runs) ** 0.5)
