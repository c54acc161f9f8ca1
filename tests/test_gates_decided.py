from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from sample_plans import case, cases, rules, run_of, sample, table

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates import Decider, Status, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.rule import Rule


def decided(judged_by: Sequence[Rule], planned: Sequence[Case], samples: Iterable[Sample]) -> list[Verdict] | None:
    """The verdicts that the full run is certain to have, or None while any of them is open."""
    decider = Decider(judged_by, table(planned, ()))
    for one in samples:
        decider.add(one)
    return decider.verdicts()


def first(verdicts: list[Verdict] | None) -> Status:
    assert verdicts
    return verdicts[0].status


def test_a_gate_that_the_rest_cannot_save_is_decided_as_failed() -> None:
    found = decided(rules({"min": 0.9}), cases(20), run_of(0, 3)) or []
    assert [verdict.status for verdict in found] == [Status.FAIL]
    assert found[0].message == (
        "decided after 3 of 20 samples: 0 to 17 of 20 samples can pass, whatever the rest answer"
    )
    assert decided(rules({"min": 0.9}), cases(20), run_of(0, 2)) is None


def test_must_pass_is_decided_by_cases_and_not_by_attempts() -> None:
    tagged = [case(number, tags=("a",)) for number in range(3)]
    decider = Decider(rules({"must_pass": ["a"]}), table(tagged, (), 3))
    decider.add(sample(0, "missed"))
    found = decider.verdicts()
    assert first(found) is Status.FAIL
    assert found
    assert found[0].message == "decided after 1 of 9 samples: 0 to 2 of 3 cases can pass, whatever the rest answer"


def test_once_every_sample_is_there_one_number_of_passes_is_left() -> None:
    found = decided(rules({"min": 0.5}), cases(2), run_of(1, 1)) or []
    assert found[0].message == "decided after 2 of 2 samples: 1 of 2 samples can pass, whatever the rest answer"


@pytest.mark.parametrize(("passed", "expected"), [(100, Status.PASS), (95, Status.INCONCLUSIVE), (82, Status.FAIL)])
def test_a_gate_with_a_confidence_has_three_ends(passed: int, expected: Status) -> None:
    found = decided(rules({"min": 0.9, "confidence": 0.95}), cases(100), run_of(passed, 100 - passed))
    assert first(found) is expected


def test_a_gate_that_the_rest_cannot_break_is_decided_as_passed() -> None:
    assert first(decided(rules({"min": 0.9}), cases(20), run_of(18))) is Status.PASS
    assert decided(rules({"min": 0.9}), cases(20), run_of(17)) is None


def test_too_many_errors_are_decided_at_once() -> None:
    assert first(decided(rules({"min": 0.1}), cases(20), run_of(0, errors=1))) is Status.INCOMPLETE


def test_a_run_stops_only_when_all_its_gates_are_decided() -> None:
    both = rules({"min": 0.5}, {"min": 0.9})
    assert decided(both, cases(20), run_of(12)) is None
    assert decided(both, cases(20), run_of(18)) is not None


@pytest.mark.parametrize(
    "rule",
    [{"metric": "macro_f1", "min": 0.0}, {"metric": "valid_rate", "min": 0.0}, {"against": "p", "max_flips": 99}],
)
def test_a_gate_that_cannot_be_counted_is_never_decided(rule: dict[str, Any]) -> None:
    assert decided(rules(rule, {"min": 0.0}), cases(2), run_of(2)) is None


def test_a_set_without_gates_is_never_decided() -> None:
    assert decided(rules(), cases(2), run_of(2)) is None


def test_a_sample_counts_once_and_only_in_its_own_plan() -> None:
    decider = Decider(rules({"min": 0.5}), table(cases(4), ()))
    for _ in range(4):
        decider.add(sample(0))
    decider.add(sample(9))
    decider.add(sample(1, attempt=1))
    decider.add(sample(1, attempt=-1))
    decider.add(sample(1, "unrun"))
    assert decider.verdicts() is None
    decider.add(sample(1))
    assert first(decider.verdicts()) is Status.PASS


RULES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"min": 0.5},
        {"min": 0.8},
        {"min": 1.0},
        {"max": 0.3},
        {"min": 0.6, "confidence": 0.8},
        {"max": 0.6, "confidence": 0.8},
        {"min": 0.7, "where": {"tag": "even"}},
        {"min": 0.5, "where": {"tag": "none"}},
        {"min": 0.5, "max_errors": 2},
        {"must_pass": ["even"]},
        {"must_pass": ["even", "odd"]},
        {"must_pass": ["none"]},
    ]
)
REPEATED: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"min": 0.6, "per_case": "2 of 3"}, {"must_pass": ["even"], "per_case": "1 of 3"}]
)


@examples(300)
@given(st.data(), st.integers(1, 14), st.sampled_from([1, 3]))
def test_a_decided_verdict_equals_that_of_the_full_run_however_the_rest_is_answered(
    data: st.DataObject, count: int, repeats: int
) -> None:
    """The rest is any mixture of passes, misses and tolerated errors; with `max` no error is tolerated."""
    gates: list[dict[str, Any]] = data.draw(
        st.lists(RULES | REPEATED, min_size=1, max_size=2, unique_by=lambda gate: rules(gate)[0].label)
    )
    tolerated = 0 if any("max" in gate for gate in gates) else 1
    toml = rules(*gates, max_errors=1)
    planned = [case(number, tags=("odd" if number % 2 else "even",)) for number in range(count)]
    plan = data.draw(st.permutations([(number, attempt) for number in range(count) for attempt in range(repeats)]))
    likely = data.draw(st.sampled_from([["passed"], ["missed"], ["passed", "missed"], ["passed", "missed", "error"]]))
    samples = [sample(number, data.draw(st.sampled_from(likely)), attempt) for number, attempt in plan]

    decider, found, before_stop = Decider(toml, table(planned, (), repeats)), None, []
    for one in samples:
        decider.add(one)
        before_stop.append(one)
        if found := decider.verdicts():
            break
    if found is None:
        return
    errors = sum(one.state is State.ERROR for one in before_stop)
    rest = []
    for number, attempt in plan[len(before_stop) :]:
        end = data.draw(st.sampled_from(["passed", "missed", "error"]))
        end = "missed" if end == "error" and errors >= tolerated else end
        errors += end == "error"
        rest.append(sample(number, end, attempt))
    full = judge(toml, table(planned, [*before_stop, *rest], repeats))
    assert [verdict.status for verdict in found] == [verdict.status for verdict in full]


@given(st.data(), st.integers(1, 12), RULES)
def test_a_gate_is_decided_as_soon_as_both_extremes_agree(
    data: st.DataObject, count: int, rule: dict[str, Any]
) -> None:
    toml = rules(rule, max_errors=1)
    planned = [case(number, tags=("odd" if number % 2 else "even",)) for number in range(count)]
    done = data.draw(st.integers(0, count))
    samples = [sample(number, data.draw(st.sampled_from(["passed", "missed"]))) for number in range(done)]
    extremes = [
        judge(toml, table(planned, [*samples, *(sample(number, end) for number in range(done, count))]))[0].status
        for end in ("passed", "missed")
    ]
    found = decided(toml, planned, samples)
    assert (found is not None) == (extremes[0] is extremes[1])
