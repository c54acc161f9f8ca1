"""Gates against a baseline that share a level: Holm's step-down, a hierarchy, and what must never pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sample_plans import case, rules, sample, table

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Baseline, Decider, Status, judge
from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.stats import paired_interval, paired_p_value
from pytest_finetune.verdicts.stats.groups import effective_size
from pytest_finetune.verdicts.stats.step_down import holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.gates import Verdict

SIZE = 200


def drop(part: str = "", *, family: str | None = "holm", margin: float = 0.05, **more: Any) -> dict[str, Any]:
    gate = {"max_drop": margin, "against": "production", "confidence": 0.95, **more}
    gate |= {"family": family} if family else {}
    return gate | ({"where": {"part": part}} if part else {})


def verdicts(gates: Sequence[dict[str, Any]], lost: dict[str, int], **how: Any) -> list[Verdict]:
    """Judge slices of `SIZE` cases; of each, as many cases as `lost` says miss now, or pass only now if below 0."""
    planned, before, now = [], [], []
    for part, count in lost.items():
        for place in range(SIZE):
            number = len(planned)
            planned.append(case(number, part=part))
            before.append(sample(number, State.MISSED if place < -count else State.PASSED))
            now.append(sample(number, State.MISSED if place < count else State.PASSED))
    now = how.get("now", lambda samples: samples)(now)
    baseline = Baseline("production", "today", 1, before)
    return judge(rules(*gates), table(planned, now), baseline)


def statuses(found: Sequence[Verdict]) -> str:
    return " ".join(verdict.status for verdict in found)


# Holm (1979), the example of four p-values at 5 %; the step at which each was compared.
def test_the_step_down_compares_each_p_value_with_its_own_share_of_the_level() -> None:
    steps = holm([0.01, 0.04, 0.03, 0.005], 0.05)
    assert [step.rejected for step in steps] == [True, False, False, True]
    assert [step.divisor for step in steps] == [3, 2, 2, 4]
    assert [step.rejected for step in holm([0.02, 0.024], 0.05)] == [True, True]
    assert holm([], 0.05) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_the_step_down_rejects_at_least_what_bonferroni_does_and_at_most_what_single_tests_do(p: list[float]) -> None:
    for value, step in zip(p, holm(p, 0.05), strict=True):
        assert step.rejected >= (value <= 0.05 / len(p))
        assert step.rejected <= (value <= 0.05)


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([0.0, 0.02, 0.1]), st.sampled_from([0.8, 0.95, 0.999]))
def test_a_p_value_is_small_where_the_interval_clears_the_margin(
    lost: int, won: int, margin: float, confidence: float
) -> None:
    interval, tail = paired_interval(lost, won, 100, confidence=confidence), (1 - confidence) / 2
    if abs(interval.high - margin) > 1e-9:
        assert (paired_p_value(lost, won, 100, margin, larger=False) <= tail) is (interval.high <= margin)
    if abs(interval.low - margin) > 1e-9:
        assert (paired_p_value(lost, won, 100, margin, larger=True) <= tail) is (interval.low >= margin)


def test_a_family_passes_and_fails_less_often_than_its_gates_alone() -> None:
    lost = {"a": 0, "b": 3, "c": 17, "d": 30}
    alone = verdicts([drop(part, family=None) for part in lost], lost)
    together = verdicts([drop(part) for part in lost], lost)
    assert statuses(alone) == "pass pass fail fail"
    # a and d are at most 2.5 % / 4; then b and c, with p = 1.2 % each, are more than 2.5 % / 3.
    assert statuses(together) == "pass inconclusive inconclusive fail"
    assert [verdict.rule.confidence for verdict in together] == [0.95] * 4
    intervals = [verdict.interval for verdict in together]
    assert all(own.high < shared.high for own, shared in zip([v.interval for v in alone], intervals, strict=True))  # type: ignore[union-attr]


def test_a_verdict_of_a_family_states_its_p_value_and_its_part_of_the_level() -> None:
    found = verdicts([drop(part) for part in "ab"], {"a": 0, "b": 10})
    assert "97.5 % interval of the drop" in found[0].message
    assert found[0].message.endswith(
        "; Holm's step-down over 2 gates: one-sided p < 0.001, tested at 2.5 % / 2 = 1.25 %"
    )
    assert found[1].message.endswith("; Holm's step-down over 2 gates: one-sided p = 0.500, tested at 2.5 %")


def test_the_risk_of_any_wrong_pass_is_that_of_one_gate() -> None:
    rng, runs, parts = np.random.default_rng(2), 400, "abcdefghij"
    wrong = {"alone": 0, "holm": 0}
    p = [[paired_p_value(lost, won, SIZE, 0.05, larger=False) for won in range(40)] for lost in range(60)]
    for _ in range(runs):
        pairs = rng.multinomial(SIZE, (0.1, 0.05, 0.85), len(parts))[:, :2]
        values = [p[lost][won] for lost, won in pairs.tolist()]
        wrong["alone"] += any(value <= 0.025 for value in values)
        wrong["holm"] += any(step.rejected for step in holm(values, 0.025))
    assert wrong["holm"] / runs <= 0.025 + 4 * (0.025 / runs) ** 0.5
    assert wrong["alone"] / runs > 0.12


def test_a_family_counts_groups_at_its_strictest_level() -> None:
    planned = [replace(case(number), group=f"g{number // 20}") for number in range(400)]
    before = [sample(number) for number in range(400)]
    now = [sample(number, State.MISSED if number < 12 else State.PASSED) for number in range(400)]
    both = rules(drop(margin=0.2), drop(margin=0.25))
    first = judge(both, table(planned, now), Baseline("production", "today", 1, before))[0]
    falls, groups = [1.0] * 12 + [0.0] * 388, [number // 20 for number in range(400)]
    worth = effective_size(falls, groups, confidence=0.975)
    assert worth < effective_size(falls, groups)
    p_value = paired_p_value(12 * worth / 400, 0, worth, 0.2, larger=False)
    assert f"one-sided p = {p_value:.3f}" in first.message


def test_slices_of_a_hierarchy_are_tested_once_the_set_passes() -> None:
    gates = [drop(family="hierarchy", margin=0.02), *(drop(part, family="hierarchy") for part in "ab")]
    good = verdicts(gates, {"a": 0, "b": 3, "rest": 0})
    assert statuses(good) == "pass pass pass"
    assert "Holm's step-down over 2 gates" in good[1].message
    assert "Holm" not in good[0].message
    open_ones = verdicts(gates, {"a": 0, "b": 3, "rest": 5})
    assert statuses(open_ones) == "inconclusive inconclusive inconclusive"
    assert open_ones[1].message.startswith(
        "not tested, because accuracy_drop<=0.02,vs=production did not pass first: accuracy dropped by 0.000"
    )
    bad = verdicts(gates, {"a": 60, "b": 60, "rest": 60})
    assert statuses(bad) == "fail inconclusive inconclusive"


def without(kept: int) -> Any:
    """Leaves out the samples from one on, as a run does that was interrupted."""
    return lambda samples: samples[:kept]


def in_error(number: int) -> Any:
    return lambda samples: [*samples[:number], sample(number, State.ERROR), *samples[number + 1 :]]


@pytest.mark.parametrize("family", ["holm", "hierarchy"])
def test_nothing_passes_without_its_evidence(family: str) -> None:
    first = [drop(family=family, margin=0.04)]
    gates = first + [drop(part, family=family) for part in "ab"]
    perfect = {"a": 0, "b": 0}
    assert statuses(verdicts(gates, perfect)) == "pass pass pass"
    # A slice that no case is in.
    absent = verdicts([*gates, drop("none", family=family)], perfect)
    assert absent[-1].status is Status.INCOMPLETE
    assert "nothing planned" in absent[-1].message
    # Its place in the family is not given to the others.
    assert all("over 4 gates" in one.message or "over 3 gates" in one.message for one in absent[1:-1])
    assert set(statuses(verdicts(gates, perfect, now=without(399))).split()) == {"incomplete"}
    damaged = verdicts(gates, perfect, now=in_error(0))
    assert [one.status is Status.PASS for one in damaged] == ([False, False, True] if family == "holm" else [False] * 3)


def test_without_a_baseline_no_gate_of_a_family_passes() -> None:
    gates = rules(drop(family="hierarchy"), drop("a", family="hierarchy"))
    planned = [case(number, part="a") for number in range(SIZE)]
    found = judge(gates, table(planned, [sample(number) for number in range(SIZE)]))
    assert statuses(found) == "incomplete incomplete"


def test_slices_alone_do_not_pass_in_a_hierarchy_without_its_first_gate() -> None:
    gates = rules(drop(family="hierarchy"), drop("a", family="hierarchy"), drop("b", family="hierarchy"))[1:]
    planned = [case(number, part="ab"[number % 2]) for number in range(2 * SIZE)]
    samples = [sample(number) for number in range(2 * SIZE)]
    found = judge(gates, table(planned, samples), Baseline("production", "today", 1, samples))
    assert statuses(found) == "inconclusive inconclusive"
    assert "no gate over the whole set comes first" in found[0].message


@pytest.mark.slow
def test_adding_a_gate_never_makes_another_one_of_its_family_pass() -> None:
    rng = np.random.default_rng(4)
    for _ in range(4):
        lost = {part: int(count) for part, count in zip("abcde", rng.integers(-3, 12, 5), strict=True)}
        for fewer, more in pairwise([[drop(part) for part in "abcde"[:count]] for count in (2, 3, 4, 5)]):
            before, after = verdicts(fewer, lost), verdicts(more, lost)
            alone = verdicts([{**gate, "family": None} for gate in fewer], lost)
            for one, other, single in zip(before, after, alone, strict=False):
                assert not (one.status is Status.PASS and single.status is not Status.PASS)
                assert not (other.status is Status.PASS and single.status is not Status.PASS)


@pytest.mark.parametrize(
    ("gates", "problem"),
    [
        ([drop("a")], "has one gate, and nothing to share its level with"),
        ([drop("a"), drop("b", confidence=0.9)], "have several levels"),
        ([drop("a", confidence=None), drop("b")], "a family shares the level of its gates, and this gate has none"),
        ([drop("a", family="hierarchy"), drop("b", family="hierarchy")], "a gate over the whole set first"),
        ([drop(family="hierarchy")], "a gate over the whole set first"),
        ([drop("a", family="bonferroni"), drop("b")], "Input should be 'holm' or 'hierarchy'"),
        ([{"min": 0.9, "confidence": 0.95, "family": "holm"}], "Extra inputs are not permitted"),
    ],
)
def test_a_family_that_cannot_keep_its_level_is_refused(gates: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        rules(*gates)


def test_families_are_not_decided_early_and_leaving_one_demands_less() -> None:
    first, second = rules(drop("a"), drop("b"))
    assert Decider([first, second], table([case(0, part="a")], ())).verdicts() is None
    (alone,) = rules(drop("a", family=None))
    assert lost_demand(first, [alone]).endswith("family dropped instead of holm")
    assert lost_demand(first, [first]) == lost_demand(alone, [first]) == ""
