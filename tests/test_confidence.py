"""Calibration and accuracy by coverage: exact on small plans, right on average in simulations, never a guess."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from math import exp, log
from typing import TYPE_CHECKING

import pytest
import scipy_stats
from sample_plans import cases, rules, sample, table

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.records import Completion, Sample, State
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.metrics import summarize
from pytest_finetune.verdicts.metrics.confidence import (
    accuracy_at_coverage,
    calibration_error,
    reliability,
    without_probability,
)
from pytest_finetune.verdicts.metrics.measure import NOTHING_MEASURED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_finetune.verdicts.gates import Verdict


def answered(number: int, probability: float | None, *, right: bool = True, attempt: int = 0) -> Sample:
    logprobs = () if probability is None else (("bug", log(probability) if probability else float("-inf")),)
    state = State.PASSED if right else State.MISSED
    made = sample(number, state, attempt)
    completion = Completion("bug", logprobs=logprobs)
    return Sample(made.eval_set, made.case_id, attempt, state, completion, made.score)


def run(*answers: tuple[float | None, bool]) -> list[Sample]:
    return [answered(number, probability, right=right) for number, (probability, right) in enumerate(answers)]


def verdict(gate: dict[str, object], samples: Sequence[Sample], planned: int | None = None) -> Verdict:
    return judge(rules(gate), table(cases(planned or len(samples)), samples))[0]


def test_probability_is_the_product_over_the_tokens() -> None:
    assert Completion("ab", logprobs=(("a", log(0.5)), ("b", log(0.4)))).probability == pytest.approx(0.2)
    assert Completion("ab").probability is None
    assert Completion("ab", logprobs=(("ab", float("nan")),)).probability is None
    assert Completion("ab", logprobs=(("ab", 0.5),)).probability is None


def test_calibration_error_is_the_weighted_distance_in_the_bins() -> None:
    # Bin (0.8, 0.9]: mean 0.85, half right. Bin (0.2, 0.3]: 0.25, all right.
    samples = run((0.9, True), (0.8 + 1e-9, False), (0.25, True), (0.25, True))
    measure = summarize(samples, cases(4)).value("ece")
    assert measure.value == pytest.approx((2 * 0.35 + 2 * 0.75) / 4)
    assert measure.n == 4
    assert [(each.answers, each.right) for each in reliability(summarize(samples, cases(4)).rows)] == [(2, 2), (2, 1)]


@pytest.mark.parametrize("probability", [0.0, 1e-300, 1.0])
def test_the_ends_of_the_scale_are_in_a_bin(probability: float) -> None:
    measure = summarize(run((probability, True)), cases(1)).value("ece")
    assert measure.value == pytest.approx(1 - probability)


@pytest.mark.slow
@pytest.mark.parametrize("truth", [lambda p: p, lambda p: p * p, lambda p: max(p - 0.2, 0.0)])
@pytest.mark.parametrize("count", [20, 200])
def test_the_interval_of_the_calibration_error_contains_the_true_one(count: int, truth: object) -> None:
    """The truth is that of the same probabilities with the true rates in place of the outcomes."""
    rng, covered, runs = random.Random(7), 0, 200
    for _ in range(runs):
        chances = [rng.choice((0.55, 0.75, 0.95, 0.99)) for _ in range(count)]
        samples = run(*((chance, rng.random() < truth(chance)) for chance in chances))  # type: ignore[operator]
        interval = summarize(samples, cases(count)).value("ece").interval
        true = sum(abs(_gap(chances, tenth, truth)) for tenth in range(10)) / count
        assert interval
        covered += interval.low - 1e-9 <= true <= interval.high + 1e-9
    assert covered >= 0.95 * runs


def _gap(chances: Sequence[float], tenth: int, truth: object) -> float:
    mine = [chance for chance in chances if tenth < chance * 10 <= tenth + 1]
    return sum(truth(chance) - chance for chance in mine)  # type: ignore[operator]


def test_bins_are_in_ascending_order_and_the_lowest_is_a_bin_of_its_own() -> None:
    rows = summarize(run((0.95, True), (0.15, False), (0.05, False)), cases(3)).rows
    assert [round(each.confidence, 2) for each in reliability(rows)] == [0.05, 0.15, 0.95]


def test_the_interval_of_the_calibration_error_is_that_of_its_formula() -> None:
    # Bin (0.9, 1]: none of 10 right at 0.95. Bin (0.5, 0.6]: 3 of 10 right at 0.55. Clopper and Pearson (1934).
    samples = run(*[(0.95, False)] * 10, *[(0.55, number < 3) for number in range(10)])
    measure = summarize(samples, cases(20)).value("ece", confidence=0.9)
    assert measure.value == pytest.approx(0.5 * 0.95 + 0.5 * 0.25)
    none_right, three_right = (scipy_stats.binomtest(right, 10) for right in (0, 3))
    together = 0.95  # Two bins: 1 - (1 - 0.9) / 2.
    nearest = 0.95 - none_right.proportion_ci(together).high
    inside = three_right.proportion_ci(together)
    assert inside.low < 0.55 < inside.high
    farthest = 0.95 - none_right.proportion_ci(0.9).low, 0.55 - three_right.proportion_ci(0.9).low
    above = math.hypot(0.5 * (farthest[0] - 0.95), 0.5 * (farthest[1] - 0.25))
    assert measure.interval
    assert measure.interval.low == pytest.approx(0.5 * nearest)
    assert measure.interval.high == pytest.approx(measure.value + above)


def test_the_calibration_error_is_at_most_one() -> None:
    measure = summarize(run((1.0, False), (1.0, False)), cases(2)).value("ece")
    assert (measure.value, measure.interval and measure.interval.high) == (1.0, 1.0)


def test_answers_without_a_probability_are_counted() -> None:
    assert without_probability(summarize(run((0.9, True), (None, True), (None, False)), cases(3)).rows) == 2


@pytest.mark.parametrize("answers", [[], [(0.9, True), (None, True)]])
def test_without_answers_or_the_probability_of_one_nothing_is_measured(
    answers: list[tuple[float | None, bool]],
) -> None:
    rows = summarize(run(*answers), cases(len(answers))).rows
    assert calibration_error(rows, confidence=0.9) == NOTHING_MEASURED
    assert accuracy_at_coverage(rows, 0.5, confidence=0.9) == NOTHING_MEASURED


def test_the_interval_of_accuracy_at_coverage_has_the_level_that_was_asked_for() -> None:
    rows = summarize(run(*[(0.9, number < 8) for number in range(10)]), cases(10)).rows
    exact = scipy_stats.binomtest(8, 10).proportion_ci(0.8)
    interval = accuracy_at_coverage(rows, 1.0, confidence=0.8).interval
    assert interval
    assert (interval.low, interval.high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def test_an_answer_with_probability_zero_is_the_least_confident() -> None:
    samples = run((0.0, False), (0.5, True))
    assert verdict({"metric": "accuracy_at_coverage", "coverage": 0.5, "min": 1.0}, samples).value == 1.0


def test_repeats_do_not_make_the_interval_shorter() -> None:
    once = run(*[(0.9, True)] * 8, (0.9, False), (0.9, False))
    samples = [answered(n, 0.9, right=n < 8, attempt=attempt) for n in range(10) for attempt in range(5)]
    repeated = summarize(samples, cases(10), repeats=5).value("ece")
    single = summarize(once, cases(10)).value("ece")
    assert repeated.value == single.value
    assert repeated.interval == single.interval
    assert (repeated.n, single.n) == (50, 10)


def test_accuracy_at_coverage_counts_the_most_confident_cases() -> None:
    samples = run((0.99, True), (0.95, True), (0.9, True), (0.6, False), (0.5, False))
    assert verdict({"metric": "accuracy_at_coverage", "coverage": 0.6, "min": 1.0}, samples).status is Status.PASS
    found = verdict({"metric": "accuracy_at_coverage", "coverage": 0.8, "min": 0.8}, samples)
    assert found.status is Status.FAIL
    assert found.gate == "accuracy_at_coverage>=0.8,coverage=0.8"
    assert found.message == (
        "accuracy_at_coverage 0.8 0.750 (4 most confident cases), bar >= 0.8:"
        " the value alone decides, its 95 % interval 0.194 to 0.994 crosses the bar"
    )


def test_the_number_of_cases_is_rounded_up_exactly() -> None:
    # 0.7 * 10 is 7.000000000000001 in floating point.
    samples = run(*[(0.9, True)] * 7, *[(0.5, False)] * 3)
    gate = {"metric": "accuracy_at_coverage", "coverage": 0.7, "min": 1.0}
    assert verdict(gate, samples).status is Status.PASS
    assert verdict({**gate, "coverage": 0.71}, samples).status is Status.FAIL


def test_cases_with_the_same_confidence_weigh_the_same() -> None:
    right_first = run((0.9, True), (0.9, True), (0.9, False), (0.9, False))
    values = [
        verdict({"metric": "accuracy_at_coverage", "coverage": 0.5, "min": 0.9}, s).value
        for s in (right_first, run((0.9, False), (0.9, False), (0.9, True), (0.9, True)))
    ]
    assert values == [0.5, 0.5]
    # One case is surely among the first two; each of the others is with half a chance.
    rows = summarize(run((0.9, True), (0.5, True), (0.5, False)), cases(3)).rows
    assert accuracy_at_coverage(rows, 0.66, confidence=0.9).exact == Fraction(3, 4)


def test_a_case_without_an_answer_is_the_least_confident_and_not_right() -> None:
    gate = {"metric": "accuracy_at_coverage", "coverage": 1.0, "min": 0.5, "max_errors": 1}
    found = verdict(gate, [answered(0, 0.9), sample(1, State.ERROR)])
    assert found.value == 0.5
    assert summarize([answered(0, 0.9), sample(1, State.ERROR)], cases(2)).value("ece").n == 1


def test_a_confidence_gate_needs_enough_of_the_most_confident_cases(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text("".join(f'{{"input": "{n}", "expected": "a"}}\n' for n in range(80)))
    gate = '[[gates]]\nmetric = "accuracy_at_coverage"\ncoverage = 0.5\nmin = 0.95\nconfidence = 0.95\n'
    (tmp_path / "s.toml").write_text(f"[request]\nlogprobs = true\n{gate}")
    with pytest.raises(EvalSetErrors, match="40 cases cannot show accuracy_at_coverage"):
        load_eval_sets([tmp_path / "s.jsonl"], root=tmp_path)
    (tmp_path / "s.toml").write_text(f"[request]\nlogprobs = true\n{gate.replace('0.5', '0.9')}")
    assert load_eval_sets([tmp_path / "s.jsonl"], root=tmp_path)


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ('metric = "ece"\nmin = 0.1', "a large ece is bad"),
        ('metric = "ece"\nmax = 1.5', r"is in \[0, 1\]"),
        ('metric = "accuracy_at_coverage"\nmin = 0.9', "add coverage = 0.8"),
        ('metric = "accuracy_at_coverage"\nmin = 0.9\ncoverage = 0.0', "greater than 0"),
        ("min = 0.9\ncoverage = 0.8", "accuracy has no coverage"),
        ('metric = "ece"\nmax_drop = 0.1\nagainst = "x"', "cannot be judged by pairs"),
    ],
)
def test_a_gate_that_cannot_mean_anything_is_refused(tmp_path: Path, gate: str, problem: str) -> None:
    (tmp_path / "s.jsonl").write_text('{"input": "?", "expected": "a"}\n')
    (tmp_path / "s.toml").write_text(f"[request]\nlogprobs = true\n[[gates]]\n{gate}\n")
    with pytest.raises(EvalSetErrors, match=problem):
        load_eval_sets([tmp_path / "s.jsonl"], root=tmp_path)


def test_a_smaller_coverage_demands_less() -> None:
    before, now = (
        rules({"metric": "accuracy_at_coverage", "coverage": coverage, "min": 0.9}) for coverage in (0.9, 0.5)
    )
    assert "coverage 0.5 instead of 0.9" in lost_demand(before[0], now)
    assert not lost_demand(now[0], before)


def test_the_value_is_exact_enough_to_meet_its_bar() -> None:
    samples = run((0.8, True), (0.8, False))
    assert abs(1 - 2 * exp(log(0.8))) / 2 > 0.3
    assert verdict({"metric": "ece", "max": 0.3}, samples).status is Status.PASS
