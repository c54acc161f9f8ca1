from __future__ import annotations

import itertools
import random
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_plans import case, cases, labelled, rules, run_of, sample, table

from pytest_finetune.base.records import State, Usage
from pytest_finetune.evaluation.results import verdict_record
from pytest_finetune.evaluation.runs import VerdictRecord
from pytest_finetune.verdicts.gates import Status, impossible, judge
from pytest_finetune.verdicts.gates.wording import figure
from pytest_finetune.verdicts.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.gates import Verdict

CONFIDENT: dict[str, Any] = {"min": 0.9, "confidence": 0.95}


def verdict(
    samples: Sequence[Sample], planned: list[Case], repeats: int = 1, max_errors: int = 0, **rule: Any
) -> Verdict:
    return judge(rules(rule, max_errors=max_errors), table(planned, samples, repeats))[0]


def status(
    samples: Sequence[Sample], planned: list[Case], repeats: int = 1, max_errors: int = 0, **rule: Any
) -> Status:
    return verdict(samples, planned, repeats, max_errors, **rule).status


@pytest.mark.parametrize(
    ("written", "facts"),
    [
        ({"min": 0.9, "confidence": 0.95}, {"kind": "min", "bar": 0.9, "confidence": 0.95}),
        (
            {"metric": "latency_p95", "max": 2.0, "where": {"tag": "chat", "hard": True}},
            {"kind": "max", "metric": "latency_p95", "bar": 2.0, "where": {"tag": "chat", "hard": True}},
        ),
        (
            {"max_drop": 0.02, "against": "production", "per_case": "3 of 5"},
            {"kind": "max_drop", "bar": 0.02, "against": "production", "per_case": "3 of 5"},
        ),
        ({"max_flips": 0, "against": "ft:a"}, {"kind": "max_flips", "bar": 0, "against": "ft:a"}),
        ({"must_pass": ["critical", "legal"]}, {"kind": "must_pass", "tags": ("critical", "legal")}),
    ],
)
def test_a_verdict_and_its_record_carry_what_the_gate_demands(written: dict[str, Any], facts: dict[str, Any]) -> None:
    found = verdict(run_of(3), cases(3), **written)
    assert found.rule == Rule(**facts)
    record = verdict_record(found)
    assert VerdictRecord.model_validate_json(record.model_dump_json()) == record
    assert record.rule == found.rule


@pytest.mark.parametrize(
    ("passed", "rule", "expected"),
    [
        (19, {"min": 0.95}, Status.PASS),
        (18, {"min": 0.95}, Status.FAIL),
        (20, {"min": 0.95}, Status.PASS),
        (20, {"min": 1.0}, Status.PASS),
        (19, {"min": 1.0}, Status.FAIL),
        (0, {"min": 0.0}, Status.PASS),
        (1, {"max": 0.05}, Status.PASS),
        (2, {"max": 0.05}, Status.FAIL),
    ],
)
def test_a_value_on_the_bar_passes_and_one_case_below_it_fails(
    passed: int, rule: dict[str, Any], expected: Status
) -> None:
    assert status(run_of(passed, 20 - passed), cases(20), **rule) is expected


@given(st.integers(1, 300), st.data())
def test_no_rounding_carries_a_value_over_its_bar(planned: int, data: st.DataObject) -> None:
    """The bar has few digits, as people write it, and equals a reachable share."""
    passed = data.draw(st.integers(0, planned))
    bar = data.draw(st.integers(0, 1000).map(lambda digits: digits / 1000))
    meets = passed * 1000 >= round(bar * 1000) * planned
    assert status(run_of(passed, planned - passed), cases(planned), min=bar) is (Status.PASS if meets else Status.FAIL)


@pytest.mark.parametrize(
    ("passed", "expected"),
    [(100, Status.PASS), (97, Status.PASS), (95, Status.INCONCLUSIVE), (84, Status.INCONCLUSIVE), (82, Status.FAIL)],
)
def test_with_a_confidence_the_whole_interval_has_to_clear_the_bar(passed: int, expected: Status) -> None:
    assert status(run_of(passed, 100 - passed), cases(100), **CONFIDENT) is expected


def test_an_inconclusive_verdict_says_what_would_settle_it() -> None:
    found = verdict(run_of(95, 5), cases(100), **CONFIDENT)
    assert found.message == (
        "accuracy 0.950 (95 of 100 cases), 95 % interval 0.887 to 0.984, bar >= 0.9:"
        " about 160 more cases would settle it with a power of 80 %"
    )
    assert "too close to the bar" in verdict(run_of(90, 10), cases(100), **CONFIDENT).message


def test_the_interval_that_is_shown_is_the_one_that_decides() -> None:
    found = verdict(run_of(97, 3), cases(100), **CONFIDENT)
    assert found.interval
    assert found.interval.low >= (found.rule.bar or 1)
    assert (found.value, found.n) == (0.97, 100)


@pytest.mark.parametrize(
    ("errors", "max_errors", "expected"), [(1, 0, Status.INCOMPLETE), (1, 1, Status.PASS), (2, 1, Status.INCOMPLETE)]
)
def test_errors_beyond_the_tolerated_make_a_verdict_incomplete(errors: int, max_errors: int, expected: Status) -> None:
    samples = run_of(20 - errors, errors=errors)
    assert status(samples, cases(20), max_errors=max_errors, min=0.9) is expected
    assert status(samples, cases(20), min=0.9, max_errors=max_errors) is expected


def test_a_tolerated_error_still_counts_as_not_passed() -> None:
    assert status(run_of(19, errors=1), cases(20), max_errors=1, min=1.0) is Status.FAIL


def test_the_max_errors_of_a_gate_wins_over_that_of_the_set() -> None:
    both = rules({"min": 0.5, "max_errors": 0}, {"min": 0.6}, max_errors=5)
    found = judge(both, table(cases(4), run_of(3, errors=1)))
    assert [verdict.status for verdict in found] == [Status.INCOMPLETE, Status.PASS]


@pytest.mark.parametrize(("errors", "expected"), [(0, Status.PASS), (1, Status.PASS), (2, Status.FAIL)])
def test_an_error_rate_gate_tolerates_what_its_own_bar_does(errors: int, expected: Status) -> None:
    samples = run_of(20 - errors, errors=errors)
    assert status(samples, cases(20), metric="error_rate", max=0.05) is expected


@pytest.mark.parametrize("metric", ["accuracy", "error_rate", "latency_p50", "macro_f1"])
def test_a_single_unrun_sample_makes_every_verdict_incomplete(metric: str) -> None:
    for last in ([], [sample(19, "unrun")]):
        found = verdict([*run_of(19), *last], cases(20), metric=metric, max=1.0)
        assert found.status is Status.INCOMPLETE
        assert found.message == "incomplete: 1 of 20 samples were not run"


@pytest.mark.parametrize(
    "rule", [{"min": 0.0}, {"max": 1.0}, {"min": 0.0, "where": {"tag": "none"}}, {"must_pass": ["none"]}]
)
def test_a_plan_without_samples_does_not_pass(rule: dict[str, Any]) -> None:
    planned = cases(3) if len(rule) > 1 or "must_pass" in rule else []
    found = verdict(run_of(3), planned, **rule)
    assert found.status is Status.INCOMPLETE
    assert "nothing planned" in found.message


@pytest.mark.parametrize("metric", ["latency_p95", "tokens_per_case", "cost_per_case"])
def test_a_metric_without_a_value_does_not_pass(metric: str) -> None:
    cached = [sample(number, from_cache=True) for number in range(3)]
    assert status(cached, cases(3), metric=metric, max=1e9) is Status.INCOMPLETE


def test_no_confidence_is_promised_for_the_mean_of_a_long_tail() -> None:
    samples = [sample(number, usage=Usage(1, 1)) for number in range(9)]
    with pytest.raises(ValueError, match="leave confidence out"):
        rules({"metric": "tokens_per_case", "max": 5, "confidence": 0.95})
    assert status(samples, cases(9), metric="tokens_per_case", max=5) is Status.PASS


def test_a_percentile_of_few_answers_has_no_upper_bound_and_is_inconclusive() -> None:
    found = verdict(run_of(20), cases(20), metric="latency_p95", max=60.0, confidence=0.95)
    assert found.status is Status.INCONCLUSIVE
    assert "to unbounded" in found.message


def test_a_slice_is_judged_by_its_own_cases_and_errors() -> None:
    planned = [case(0, tags=("critical",)), case(1), case(2, tags=("critical",))]
    samples = [sample(0), sample(1, "error"), sample(2, "missed")]
    rule: dict[str, Any] = {"min": 0.5, "where": {"tag": "critical"}}
    assert status(samples, planned, **rule) is Status.PASS
    assert verdict(samples, planned, **rule).n == 2
    assert status(samples, planned, min=0.1) is Status.INCOMPLETE


def attempts(*passes: int, of: int = 5) -> list[Sample]:
    return [
        sample(number, "passed" if attempt < count else "missed", attempt)
        for number, count in enumerate(passes)
        for attempt in range(of)
    ]


@pytest.mark.parametrize(("passes", "expected"), [((5, 3), Status.PASS), ((5, 2), Status.FAIL)])
def test_per_case_requires_passes_of_each_case(passes: tuple[int, ...], expected: Status) -> None:
    assert status(attempts(*passes), cases(2), 5, min=1.0, per_case="3 of 5") is expected


def test_per_case_with_another_number_of_attempts_does_not_pass() -> None:
    found = verdict(attempts(3, 3, of=3), cases(2), 3, min=0.0, per_case="3 of 5")
    assert found.status is Status.INCOMPLETE
    assert "per_case is '3 of 5', but there are 3 attempts per case" in found.message


@pytest.mark.parametrize(
    ("second", "repeats", "per_case", "expected"),
    [
        (5, 5, None, Status.PASS),
        (4, 5, None, Status.FAIL),
        (4, 5, "4 of 5", Status.PASS),
        (3, 5, "4 of 5", Status.FAIL),
    ],
)
def test_every_case_with_the_tag_must_pass(second: int, repeats: int, per_case: str | None, expected: Status) -> None:
    planned = [case(0, tags=("a",)), case(1, tags=("b",)), case(2)]
    found = verdict(attempts(5, second, 0), planned, repeats, must_pass=["a", "b"], per_case=per_case)
    assert found.status is expected
    assert found.missed == (() if expected is Status.PASS else ("c1",))


def test_must_pass_never_passes_with_an_error() -> None:
    planned = [case(0, tags=("a",))]
    assert status(run_of(0, errors=1), planned, must_pass=["a"]) is Status.INCOMPLETE
    assert status(run_of(0, errors=1), planned, max_errors=1, must_pass=["a"]) is Status.FAIL


def test_macro_f1_is_judged_with_its_interval() -> None:
    planned = [case(number, "bug" if number % 2 else "other") for number in range(200)]
    samples = [labelled(number, case.expected[0], case.expected[0]) for number, case in enumerate(planned)]
    assert status(samples, planned, metric="macro_f1", min=0.95, confidence=0.95) is Status.PASS
    assert status(samples[:20], planned[:20], metric="macro_f1", min=0.95, confidence=0.95) is Status.INCONCLUSIVE


TABLE_STATES = [*State, None]


@pytest.mark.parametrize("max_errors", [0, 1])
@pytest.mark.parametrize("bar", [0.0, 1 / 3, 2 / 3, 1.0])
def test_nothing_fails_open_for_any_states_of_three_samples(bar: float, max_errors: int) -> None:
    """The truth table: every combination of outcomes of three cases; None is a sample that was never requested."""
    for states in itertools.product(TABLE_STATES, repeat=3):
        samples = [sample(number, state) for number, state in enumerate(states) if state]
        unrun = sum(state in {None, State.UNRUN, State.UNNEEDED} for state in states)
        passed, errors = states.count(State.PASSED), states.count(State.ERROR)
        whole = not unrun and errors <= max_errors
        met = round(bar * 3) <= passed
        expected = (Status.PASS if met else Status.FAIL) if whole else Status.INCOMPLETE
        # 1/3 as a double, written out, lies below a third; 2/3 as well.
        assert status(samples, cases(3), max_errors=max_errors, min=bar) is expected, states


ENDS = st.lists(st.sampled_from(State), min_size=6, max_size=12)
RULES = st.sampled_from(
    [{"min": 0.5}, {"min": 0.5, "confidence": 0.9}, {"max": 0.9}, {"metric": "valid_rate", "min": 0.1}]
)
ORDER = [Status.FAIL, Status.INCONCLUSIVE, Status.PASS]


@given(ENDS, RULES)
def test_a_verdict_over_missing_samples_is_always_incomplete(states: list[State], rule: dict[str, Any]) -> None:
    samples = [sample(number, state) for number, state in enumerate(states)]
    found = status(samples, cases(len(states) + 1), max_errors=99, **rule)
    assert found is Status.INCOMPLETE


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.data())
def test_turning_a_miss_into_a_pass_never_worsens_a_verdict(passes: list[bool], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(passes) - 1))
    rule: dict[str, Any] = data.draw(st.sampled_from([{"min": 0.7}, {"min": 0.7, "confidence": 0.9}]))

    def found(ends: list[bool]) -> Status:
        states = ["passed" if passed else "missed" for passed in ends]
        return status([sample(number, state) for number, state in enumerate(states)], cases(len(ends)), **rule)

    better = [passed or number == index for number, passed in enumerate(passes)]
    assert ORDER.index(found(better)) >= ORDER.index(found(passes))


def test_the_order_of_samples_changes_no_verdict() -> None:
    samples = run_of(15, 3, 2)
    shuffled = random.Random(1).sample(samples, len(samples))
    rule: dict[str, Any] = {"max_errors": 2, "min": 0.6, "confidence": 0.95}
    assert verdict(shuffled, cases(20), **rule) == verdict(samples, cases(20), **rule)


def test_samples_of_another_eval_set_are_not_evidence() -> None:
    foreign = [replace(one, eval_set="eval_sets/other.jsonl") for one in run_of(3)]
    assert status(foreign, cases(3), min=0.0) is Status.INCOMPLETE


@pytest.mark.parametrize(
    ("rule", "count", "problem"),
    [
        (
            {"min": 0.999, "confidence": 0.95},
            200,
            "200 cases cannot show accuracy >= 0.999 with confidence 0.95: at least 3,688 are needed",
        ),
        (
            {"min": 1.0, "confidence": 0.95},
            9000,
            "9000 cases cannot show accuracy >= 1 with confidence 0.95: no number of cases can; leave confidence out",
        ),
        ({"metric": "error_rate", "max": 0.001, "confidence": 0.95}, 200, "200 cases cannot show error_rate <= 0.001"),
        (
            {"metric": "latency_p95", "max": 2.0, "confidence": 0.95},
            71,
            "71 cases are too few to bound latency_p95 with confidence 0.95",
        ),
        (
            {"metric": "latency_p95", "max": 2.0, "confidence": 0.99},
            72,
            "72 cases are too few to bound latency_p95 with confidence 0.99",
        ),
    ],
)
def test_a_gate_that_cannot_pass_is_refused_by_its_settings(rule: dict[str, Any], count: int, problem: str) -> None:
    assert (impossible(*rules(rule), count) or "").startswith(problem)


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ({"min": 0.95, "confidence": 0.95}, 72),
        ({"min": 0.999}, 2),
        ({"metric": "error_rate", "max": 0.05, "confidence": 0.95}, 72),
        ({"metric": "latency_p95", "max": 2.0, "confidence": 0.95}, 72),
        ({"metric": "latency_p95", "min": 2.0, "confidence": 0.95}, 2),
        ({"metric": "cost_per_case", "max": 2.0}, 2),
        ({"metric": "macro_f1", "against": "production", "max_drop": 0.1}, 2),
        ({"min": 0.95, "confidence": 0.95}, 0),
    ],
)
def test_a_gate_that_can_pass_is_not_called_impossible(rule: dict[str, Any], count: int) -> None:
    assert impossible(*rules(rule), count) is None


@given(st.integers(1, 150), st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.sampled_from([0.8, 0.95, 0.99]))
def test_a_gate_is_impossible_exactly_if_a_perfect_run_would_not_pass(
    planned: int, bar: float, confidence: float
) -> None:
    perfect = status(run_of(planned), cases(planned), min=bar, confidence=confidence)
    reason = impossible(*rules({"min": bar, "confidence": confidence}), planned)
    assert (perfect is Status.PASS) == (reason is None)


@pytest.mark.parametrize(
    ("value", "bar", "text"),
    [(0.94996, 0.95, "0.94996"), (0.95, 0.95, "0.950"), (0.9504, 0.95, "0.9504"), (0.5, 0.95, "0.500")],
)
def test_a_figure_is_never_rounded_onto_its_bar(value: float, bar: float, text: str) -> None:
    assert figure(value, bar) == text


def test_judging_imports_nothing_heavy() -> None:
    program = (
        "import sys, pytest_finetune.verdicts.gates, pytest_finetune.verdicts.comparison;"
        "print({'scipy', 'numpy', 'jsonschema', 'openai', 'aiohttp', 'regex', 'pydantic'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize("metric", ["latency_p95", "tokens_per_case", "cost_per_case", "accuracy", "valid_rate"])
def test_an_error_never_helps_a_gate_with_an_upper_bar(metric: str) -> None:
    """The request that timed out has no latency, no tokens and no pass; without it the gate would pass."""
    samples = [sample(number, usage=Usage(1, 1)) for number in range(3)] + [sample(3, State.ERROR)]
    found = status(samples, cases(4), max_errors=9, metric=metric, max=1.0 if metric != "latency_p95" else 1e9)
    assert found is Status.INCOMPLETE


def test_answers_from_the_cache_do_not_make_a_model_cheap() -> None:
    paid = [replace(one, cost=Decimal(2)) for one in run_of(1)]
    free = [replace(one, cost=Decimal(0)) for one in (sample(number, from_cache=True) for number in range(1, 10))]
    assert status([*paid, *free], cases(10), metric="cost_per_case", max=1.0) is Status.FAIL
    assert status(free, cases(10)[1:], metric="cost_per_case", max=1.0) is Status.INCOMPLETE


def test_two_gates_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two gates are one test 'accuracy>=0.6'"):
        rules({"min": 0.6}, {"min": 0.6, "confidence": 0.9})
    assert len(rules({"min": 0.6}, {"min": 0.60000001})) == 2
