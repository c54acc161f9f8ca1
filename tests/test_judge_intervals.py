"""The correction for a judge's errors: formulas against worked examples, and coverage by simulation."""

from __future__ import annotations

import importlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sample_plans import case, rules

from pytest_finetune.base.records import Completion, Reply, Sample, State
from pytest_finetune.verdicts.gates import judge
from pytest_finetune.verdicts.metrics import lay_out
from pytest_finetune.verdicts.metrics.calibration import Calibration
from pytest_finetune.verdicts.stats.groups import effective_size
from pytest_finetune.verdicts.stats.imperfect import (
    corrected_interval,
    corrected_rate,
    informedness_interval,
    kappa,
    share_of_part,
)

if TYPE_CHECKING:
    from pytest_finetune.verdicts.metrics import Summary

ROOT = Path(__file__).parents[1]


def test_the_rate_of_a_perfect_judge_is_left_as_it_is() -> None:
    assert corrected_rate(Fraction(3, 4), Fraction(1), Fraction(1)) == Fraction(3, 4)


def test_the_correction_inverts_the_errors() -> None:
    truth, sensitivity, specificity = Fraction(9, 10), Fraction(4, 5), Fraction(7, 10)
    passed = truth * sensitivity + (1 - truth) * (1 - specificity)
    assert corrected_rate(passed, sensitivity, specificity) == truth


@pytest.mark.parametrize(("passed", "rate"), [(0, 0), (1, 1)])
def test_a_rate_that_errors_alone_explain_is_cut(passed: int, rate: int) -> None:
    assert corrected_rate(Fraction(passed), Fraction(9, 10), Fraction(9, 10)) == rate


def test_a_judge_no_better_than_chance_corrects_nothing() -> None:
    with pytest.raises(ValueError, match="not above 1"):
        corrected_rate(Fraction(1, 2), Fraction(1, 2), Fraction(1, 2))
    assert corrected_interval(5, 10, (0, 20), (20, 20)).low == 0.0
    assert informedness_interval((10, 20), (10, 20)).low < 0


def test_kappa_is_the_agreement_beyond_chance() -> None:
    value, interval = kappa((26, 30), (17, 20))
    # 43 of 50 agree. People call 30 right and the judge 29, so 0.6 * 0.58 + 0.4 * 0.42 = 0.516 agree by chance.
    assert value == pytest.approx((0.86 - 0.516) / (1 - 0.516))
    assert interval.low < value < interval.high


def test_kappas_interval_covers_the_kappa_of_the_population() -> None:
    rng, n = np.random.default_rng(1), 200
    cells = np.array([0.54, 0.06, 0.08, 0.32])
    people, judge, agreed = (0.6, 0.4), (0.62, 0.38), 0.86
    by_chance = people[0] * judge[0] + people[1] * judge[1]
    truth = (agreed - by_chance) / (1 - by_chance)
    covered = 0
    for a, b, c, d in rng.multinomial(n, cells, 2000).tolist():
        _, interval = kappa((a, a + b), (d, c + d))
        covered += interval.low <= truth <= interval.high
    assert 0.93 < covered / 2000 < 0.97


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("judges_simulation")


@pytest.mark.parametrize("judge", [(0.95, 0.9), (0.8, 0.8)])
@pytest.mark.parametrize("truth", [0.8, 0.95])
def test_the_corrected_interval_covers_the_truth(simulation: Any, judge: tuple[float, float], truth: float) -> None:
    corrected, raw = simulation.Point(*judge, truth, 200, 50).simulate(np.random.default_rng(1), 2000)
    assert 1 - corrected.above - corrected.below > 0.94
    assert raw.above + raw.below > corrected.above + corrected.below


def test_answers_that_were_not_judged_are_wrong_whatever_the_judges_errors() -> None:
    cases = [case(number) for number in range(40)]
    replies = (Reply("", Completion("VERDICT: good")),)
    samples = [Sample("", one.id, 0, State.PASSED, Completion("x"), replies=replies) for one in cases[:20]]
    samples += [Sample("", one.id, 0, State.MISSED, Completion("")) for one in cases[20:]]
    calibration = Calibration((45, 50), (45, 50))
    measure = calibration.corrected("accuracy", lay_out(cases, samples).summary, 0.95)
    # All 20 that were judged pass, which is corrected to 1; the other 20 count as wrong.
    assert measure.exact == Fraction(1, 2)
    assert measure.interval is not None
    assert measure.interval.low < 0.4
    assert measure.interval.high > 0.6


def judged(passed: int, missed: int, unanswered: int = 0) -> Summary:
    """Figures of answers that a judge has passed and missed, and of some without text, which it is not asked about."""
    plan = [case(number) for number in range(passed + missed + unanswered)]
    replies = (Reply("", Completion("VERDICT: good")),)
    states = [State.PASSED] * passed + [State.MISSED] * (missed + unanswered)
    samples = [
        Sample("", one.id, 0, state, Completion("x"), replies=replies if number < passed + missed else ())
        for number, (one, state) in enumerate(zip(plan, states, strict=True))
    ]
    return lay_out(plan, samples).summary


JUDGE = Calibration((45, 50), (40, 50))


def test_where_all_answers_were_judged_the_interval_is_that_of_the_corrected_rate() -> None:
    measure = JUDGE.corrected("accuracy", judged(30, 10), 0.9)
    # By Rogan and Gladen: 0.75 + 0.8 - 1 over 0.9 + 0.8 - 1.
    assert measure.exact == Fraction(11, 14)
    assert measure.interval == corrected_interval(30, 40, (45, 50), (40, 50), confidence=0.9)


def test_an_answer_whose_judgement_failed_was_not_judged() -> None:
    """Its reply is recorded, and counts neither for nor against the judge's errors."""
    plan = [case(number) for number in range(20)]
    replies = (Reply("", Completion("VERDICT: good")),)
    judged_samples = [Sample("", one.id, 0, State.PASSED, Completion("x"), replies=replies) for one in plan[:10]]
    failed = [Sample("", one.id, 0, State.ERROR, Completion("x"), replies=replies) for one in plan[10:]]
    measure = JUDGE.corrected("accuracy", lay_out(plan, [*judged_samples, *failed]).summary, 0.95)
    assert measure.exact == Fraction(1, 2)


def test_the_corrected_interval_counts_independent_cases() -> None:
    groups = [number // 5 for number in range(100)]
    wrong = (0, 1, 2, 3, 11, 27, 51)
    plan = [replace(case(number), group=f"t{group}") for number, group in enumerate(groups)]
    replies = (Reply("", Completion("VERDICT: good")),)
    states = [State.MISSED if number in wrong else State.PASSED for number in range(100)]
    samples = [
        Sample("", one.id, 0, state, Completion("x"), replies=replies) for one, state in zip(plan, states, strict=True)
    ]
    worth = effective_size([float(number not in wrong) for number in range(100)], groups, confidence=0.6)
    assert 20 < worth < 90
    found = JUDGE.corrected("accuracy", lay_out(plan, samples).summary, 0.6).interval
    assert found
    expected = corrected_interval(0.93 * worth, worth, (45, 50), (40, 50), confidence=0.6)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("unanswered", [0, 10])
def test_an_estimate_for_more_cases_is_that_of_a_larger_set_with_the_same_shares(unanswered: int) -> None:
    estimated = JUDGE.corrected("accuracy", judged(30, 10, unanswered), 0.95, times=3)
    larger = JUDGE.corrected("accuracy", judged(90, 30, 3 * unanswered), 0.95)
    assert (estimated.exact, estimated.interval) == (larger.exact, larger.interval)
    assert (estimated.n, larger.n) == (40 + unanswered, 120 + 3 * unanswered)


def test_where_nothing_was_judged_the_rate_is_zero_with_its_interval() -> None:
    measure = JUDGE.corrected("accuracy", judged(0, 0, 10), 0.8)
    assert (measure.exact, measure.n) == (0, 10)
    # Clopper and Pearson: none of 10 at 80 %, so 1 - 0.1 ** (1 / 10).
    assert measure.interval is not None
    assert (measure.interval.low, measure.interval.high) == (0, pytest.approx(1 - 0.1**0.1))


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ((20, 20), (20, 20), ""),
        ((19, 19), (20, 20), "there are 19 right and 20 wrong labelled answers, and 20 of each are needed"),
        ((11, 20), (10, 20), "the judge is not better than chance: sensitivity 0.550, specificity 0.500"),
        ((8, 20), (8, 20), "the judge is not better than chance: sensitivity 0.400, specificity 0.400"),
    ],
)
def test_a_calibration_needs_enough_answers_and_a_judge_better_than_chance(
    right: tuple[float, int], wrong: tuple[float, int], fault: str
) -> None:
    assert Calibration(right, wrong).fault == fault


def test_a_calibration_with_a_fault_corrects_nothing() -> None:
    calibration = Calibration((45, 50), (45, 50), problem="it is missing")
    assert calibration.fault == "it is missing"
    with pytest.raises(ValueError, match=r"^it is missing$"):
        calibration.corrected("accuracy", judged(30, 10), 0.95)


def test_the_interval_of_a_rate_among_the_judged_has_the_level_that_was_asked_for() -> None:
    measure = JUDGE.corrected("accuracy", judged(30, 10, 10), 0.8)
    inside = corrected_interval(30, 40, (45, 50), (40, 50), confidence=0.8)
    assert measure.exact == Fraction(11, 14) * Fraction(40, 50)
    assert measure.interval == share_of_part(40, 50, 11 / 14, inside, confidence=0.8)


def test_cases_that_would_settle_a_corrected_rate_are_counted_with_the_judges_errors() -> None:
    sure = Calibration((180, 200), (160, 200))
    planned = [case(number) for number in range(40)]
    replies = (Reply("", Completion("VERDICT: good")),)
    states = [State.PASSED] * 30 + [State.MISSED] * 10
    samples = [
        Sample("", one.id, 0, state, Completion("x"), replies=replies)
        for one, state in zip(planned, states, strict=True)
    ]
    table = replace(lay_out(planned, samples), judge=sure)
    (found,) = judge(rules({"min": 0.7, "confidence": 0.95}), table)
    more = int(found.message.split(": about ")[1].split(" more cases")[0].replace(",", ""))
    # For a power of 80 %, not of 50 %.
    power = (1.96 / (1.96 + 0.8416)) ** 2
    fewer, enough = (
        sure.corrected("accuracy", table.summary, 0.95, times=power * share * (40 + more) / 40).interval
        for share in (0.9, 1.0)
    )
    assert fewer
    assert enough
    assert fewer.low < 0.7 <= enough.low
