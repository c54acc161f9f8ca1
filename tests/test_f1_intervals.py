"""Intervals of mean F1 against the documented formula, with its derivatives taken numerically."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import pytest

from pytest_finetune.verdicts.metrics.labels import INVALID, NO_ANSWER, LabelTable
from pytest_finetune.verdicts.stats import rate_interval

Counts = dict[tuple[str, str], float]

# Many labels with one mistake each, and one that is never right, where the standard error decides the upper end.
MANY: Counts = {(label, label): 9 + number % 3 for number, label in enumerate("abcdefghij")}
MANY |= dict.fromkeys(zip("abcdefghi", "bcdefghix", strict=True), 1) | {("j", INVALID): 1, ("never right", "x"): 40}
# Few labels, where the distances to the bounds decide it; one is never answered, one never right, one never expected.
FEW: Counts = {("a", "a"): 30, ("a", "b"): 18, ("b", "b"): 2, ("b", "a"): 22, ("b", NO_ANSWER): 3}
FEW |= {("c", "a"): 5, ("c", "x"): 4, ("d", "b"): 4, ("a", "d"): 3, ("b", INVALID): 2}
BOTH = {"many": MANY, "few": FEW}


def f1_of_rate(rate: float) -> float:
    return 2 * rate / (1 + rate)


def sides(counts: Counts, label: str) -> tuple[float, float, float]:
    """How often a label was right, expected and answered."""
    expected = sum(count for (one, _), count in counts.items() if one == label)
    answered = sum(count for (_, one), count in counts.items() if one == label)
    return counts.get((label, label), 0), expected, answered


def mean_f1(counts: Counts, *, weighted: bool) -> float:
    labels = sorted({expected for expected, _ in counts})
    found = [sides(counts, label) for label in labels]
    weights = [expected if weighted else 1 for _, expected, _ in found]
    values = [2 * right / (expected + answered) for right, expected, answered in found]
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)


def standard_error(counts: Counts, *, weighted: bool) -> float:
    """By the delta method: what one more sample of each kind changes in the mean."""
    step, variance = 1e-5, 0.0
    for pair, count in counts.items():
        more, fewer = ({**counts, pair: count + change} for change in (step, -step))
        slope = (mean_f1(more, weighted=weighted) - mean_f1(fewer, weighted=weighted)) / (2 * step)
        variance += count * slope**2
    return sqrt(variance)


def interval_by_formula(counts: Counts, confidence: float, *, weighted: bool) -> tuple[float, float, bool]:
    """Both ends, and whether the standard error decides the upper one."""
    labels = sorted({expected for expected, _ in counts})
    total, value = sum(counts.values()), mean_f1(counts, weighted=weighted)
    below = above = bias = 0.0
    for label in labels:
        right, expected, answered = sides(counts, label)
        weight = expected / total if weighted else 1 / len(labels)
        involved = expected + answered - right
        f1, bounds = f1_of_rate(right / involved), rate_interval(right, involved, confidence=confidence)
        below += (weight * (f1 - f1_of_rate(bounds.low))) ** 2
        above += (weight * (f1_of_rate(bounds.high) - f1)) ** 2
        # With one more right and one more wrong case.
        rate, step = (right + 1) / (involved + 2), 1e-4
        curve = (f1_of_rate(rate + step) - 2 * f1_of_rate(rate) + f1_of_rate(rate - step)) / step**2
        bias += weight * -curve * rate * (1 - rate) / (2 * involved)
    error = NormalDist().inv_cdf((1 + confidence) / 2) * standard_error(counts, weighted=weighted)
    return value - sqrt(2 * below), value + bias + max(sqrt(2 * above), error), error > sqrt(2 * above)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "confidence"), [("many", 0.95), ("few", 0.9)])
def test_the_interval_of_f1_is_that_of_its_formula(name: str, confidence: float, *, weighted: bool) -> None:
    low, high, error_decides = interval_by_formula(BOTH[name], confidence, weighted=weighted)
    assert 0 < low < high < 1
    assert error_decides is (name == "many")
    table = LabelTable({pair: int(count) for pair, count in BOTH[name].items()})
    interval = table.f1_interval(confidence, weighted=weighted)
    assert interval
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", BOTH)
def test_the_interval_of_f1_counts_cases_and_not_attempts_and_can_be_that_of_more_cases(
    name: str, *, weighted: bool
) -> None:
    thrice = {pair: 3 * int(count) for pair, count in BOTH[name].items()}
    more = LabelTable(thrice).f1_interval(0.5, weighted=weighted)
    once = LabelTable({pair: int(count) for pair, count in BOTH[name].items()}).f1_interval(0.5, weighted=weighted)
    assert more
    assert once
    repeated = LabelTable(thrice, repeats=3).f1_interval(0.5, weighted=weighted)
    scaled = LabelTable(thrice, repeats=3).f1_interval(0.5, times=3, weighted=weighted)
    assert repeated
    assert scaled
    assert (repeated.low, repeated.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert (scaled.low, scaled.high) == (pytest.approx(more.low), pytest.approx(more.high))
