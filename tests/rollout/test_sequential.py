"""The documented false-alarm rates, checked by exact sums where possible and by simulation otherwise."""

from __future__ import annotations

from itertools import product
from math import log, log2
from random import Random

import pytest

from pytest_finetune.lifecycle.rollout.sequential import LIFTS, EProcess, OverBudget, WorseThanProduction


def weight(outcomes, rate):
    """The probability of these outcomes; True is a failure."""
    failed = sum(outcomes)
    return rate**failed * (1 - rate) ** (len(outcomes) - failed)


def evidence_of_block(production, canary, assumed):
    """The likelihood ratios of one block, one per lift."""
    test = WorseThanProduction(0.01)
    test._assumed = assumed
    test._calls, test._failed = [len(production), len(canary)], [sum(production), sum(canary)]
    return [test._factor(lift) for lift in LIFTS]


@pytest.mark.parametrize(("production_calls", "canary_calls"), [(1, 1), (4, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("assumed", [0.001, 0.05, 0.5, 0.95])
def test_no_block_is_expected_to_add_evidence_while_the_canary_is_no_worse(production_calls, canary_calls, assumed):
    """Summed over every outcome, for every pair of true rates on a grid: what Ville's inequality needs."""
    outcomes = [
        (production, canary, evidence_of_block(production, canary, assumed))
        for production in product((False, True), repeat=production_calls)
        for canary in product((False, True), repeat=canary_calls)
    ]
    grid = [0.0, 0.001, 0.05, 0.2, 0.5, 0.9, 1.0]
    for production_rate, canary_rate in product(grid, grid):
        if canary_rate <= production_rate:
            for lift in range(len(LIFTS)):
                expected = sum(
                    weight(production, production_rate) * weight(canary, canary_rate) * factors[lift]
                    for production, canary, factors in outcomes
                )
                assert expected <= 1 + 1e-12


@pytest.mark.parametrize(("budget", "rate"), [(0.1, 0.1), (0.1, 0.02), (0.5, 0.5), (0.02, 0.0)])
def test_no_call_is_expected_to_add_evidence_while_production_keeps_its_budget(budget, rate):
    """Over all 2^10 outcomes of ten calls, including the mixture over starts."""
    expected = 0.0
    for life in product((False, True), repeat=10):
        test = OverBudget(budget, 0.01)
        for failed in life:
            test.add(ok=not failed)
        expected += weight(life, rate) * test.evidence
    assert expected <= 1 + 1e-12
    if rate == budget:
        assert expected == pytest.approx(1)


def test_without_differences_evidence_stays_at_1():
    evidence = EProcess()
    for _ in range(1000):
        evidence.multiply([1.0] * len(LIFTS))
        assert evidence.value == pytest.approx(1)


def life(rng, *, production, canary, calls, traffic=0.1, false_alarm_rate=0.1):
    """The canary's calls until the alarm, or None. The rates are functions of the call's number."""
    test, seen, failures, calls_needed = WorseThanProduction(false_alarm_rate), 0, 0, 0
    for number in range(calls):
        is_canary = rng.random() < traffic
        failed = rng.random() < (canary if is_canary else production)(number)
        test.add(canary=is_canary, ok=not failed, production_rate=(failures + 1) / (seen + 20))
        calls_needed += is_canary
        if not is_canary:
            seen, failures = seen + 1, failures + failed
        if test.alarmed:
            return calls_needed
    return None


def steady(rate):
    return lambda number: rate


def outages(number):
    """Everything fails for 50 calls of each 500."""
    return 0.95 if number % 500 >= 450 else 0.02


@pytest.mark.parametrize("rate", [steady(0.02), steady(0.3), outages], ids=["2 %", "30 %", "outages of both"])
@pytest.mark.slow
def test_a_canary_like_production_is_rarely_called_worse(rate):
    """10 % are promised over any time; 200 runs at exactly 10 % would exceed 15 % once in a hundred tests."""
    rng = Random(1)
    alarms = sum(life(rng, production=rate, canary=rate, calls=1500) is not None for _ in range(200))
    assert alarms <= 30


def test_a_broken_canary_is_detected_within_a_few_calls():
    rng = Random(2)
    calls_needed = [
        life(rng, production=steady(0.02), canary=steady(1), calls=1000, false_alarm_rate=0.01) for _ in range(50)
    ]
    assert max(calls_needed) <= 8


def test_a_canary_that_fails_ten_times_as_often_is_detected():
    rng = Random(3)
    calls_needed = [life(rng, production=steady(0.02), canary=steady(0.2), calls=5000) for _ in range(20)]
    assert None not in calls_needed
    assert sorted(calls_needed)[10] < 60


def test_a_canary_that_turns_bad_late_is_detected():
    calls_needed = life(Random(4), production=steady(0.02), canary=lambda n: 0.02 if n < 10_000 else 0.7, calls=20_000)
    assert calls_needed is not None
    assert calls_needed < 1100 + 60


def test_without_calls_of_production_there_is_no_verdict():
    test = WorseThanProduction(0.01)
    for _ in range(1000):
        test.add(canary=True, ok=False, production_rate=0.05)
    assert test.evidence == 1


def test_one_failure_of_one_call_is_not_enough():
    test = OverBudget(0.1, 0.01)
    test.add(ok=False)
    assert not test.alarmed


def test_half_of_the_evidence_begins_at_the_start_and_the_rest_reaches_any_time():
    """The extra evidence, in nats, that a change after a million steps needs compared with one at the start."""
    evidence = EProcess()
    weights = []
    for _ in range(3):
        before = evidence._left
        evidence.multiply([1.0] * len(LIFTS))
        weights.append(before - evidence._left)
    assert weights[0] == 0.5
    assert sorted(weights, reverse=True) == weights
    late = 1 / (1 + log2(10**6)) - 1 / (1 + log2(10**6 + 1))
    assert log(weights[0] / late) == pytest.approx(19, abs=0.7)


@pytest.mark.parametrize(("good", "failures"), [(0, 3), (12_000, 10), (1_000_000, 12)])
def test_the_number_of_failures_in_a_row_that_end_production(good, failures):
    """The figures of docs/rollout.md, at a budget of 10 % and a false-alarm rate of 1 %."""
    test = OverBudget(0.1, 0.01)
    test._evidence._steps, test._evidence._left = good, 1 / (1 + log2(good + 1))
    needed = 0
    while not test.alarmed:
        test.add(ok=False)
        needed += 1
    assert needed == failures


@pytest.mark.parametrize("budget", [0.0, 0.1, 0.5])
def test_failing_always_exceeds_any_budget_soon(budget):
    test = OverBudget(budget, 0.01)
    for _ in range(12):
        test.add(ok=False)
    assert test.alarmed


def test_a_budget_of_everything_is_never_exceeded():
    test = OverBudget(1.0, 0.01)
    for _ in range(1000):
        test.add(ok=False)
    assert not test.alarmed


def test_evidence_does_not_overflow():
    test = OverBudget(0.001, 0.01)
    for _ in range(10_000):
        test.add(ok=False)
    assert test.evidence < float("inf")
