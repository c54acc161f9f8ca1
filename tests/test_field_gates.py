"""Gates on one field of JSON answers: which field got worse, and never a pass for what is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.base.records import Case, Completion, FormatFailure, Sample, Score, State, ToolCall
from pytest_finetune.reports.comparison import comparison_lines, redacted_answer_line
from pytest_finetune.verdicts.comparison import Comparison, MetricDrop, NamedChange, compare
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.field_paths import expected_fields, field_is_right
from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.selftest import check_gates
from pytest_finetune.verdicts.selftest.perfect import scored
from pytest_finetune.verdicts.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.rule import Rule

GATE = '[[gates]]\nmetric = "field_accuracy"\nfield = "$.order"\n'


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., EvalSet]:
    """Ten cases: all expect a team, and the first six an order."""

    def _load(gates: str, scorer: str = 'scorer = "json"\n') -> EvalSet:
        expected = [{"team": "a", **({"order": at} if at < 6 else {})} for at in range(10)]
        lines = [{"id": f"c{at}", "input": f"? {at}", "expected": value} for at, value in enumerate(expected)]
        (tmp_path / "set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (tmp_path / "set.toml").write_text(scorer + gates)
        return load_eval_sets([tmp_path / "set.jsonl"], root=tmp_path)[0]

    return _load


def run(eval_set: EvalSet, **answers: str | None) -> list[Sample]:
    """Right answers, but for those given by case id; None is an error."""
    found = []
    for case in eval_set.cases:
        text = answers.get(case.id, json.dumps(case.expected[0]))
        if text is None:
            found.append(Sample(eval_set.name, case.id, 0, State.ERROR))
        else:
            found.append(scored(eval_set, case, Completion(text)))
    return found


def verdict(eval_set: EvalSet, samples: list[Sample], baseline: list[Sample] | None = None) -> Verdict:
    old = Baseline("production", eval_set.cases_sha256, 1, baseline) if baseline is not None else None
    return judge(eval_set.settings.rules, eval_set.table(samples), old)[0]


def test_a_gate_on_a_field_counts_the_cases_that_expect_it(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GATE + "min = 0.8\n")
    found = verdict(eval_set, run(eval_set, c0='{"team": "x", "order": 0}', c7="{}", c8="not JSON"))
    assert (found.status, found.value, found.n) == (Status.PASS, 1.0, 6)
    found = verdict(eval_set, run(eval_set, c0='{"team": "a", "order": 9}', c1='{"team": "a"}'))
    assert (found.status, found.value) == (Status.FAIL, pytest.approx(4 / 6))
    assert found.gate == "field_accuracy>=0.8,field=$.order"
    assert found.message == (
        "field_accuracy of $.order 0.667 (4 of 6 cases), bar >= 0.8:"
        " the value alone decides, its 95 % interval 0.223 to 0.957 crosses the bar"
    )


@pytest.mark.parametrize("answer", ["", "[1]", '```json\n{"team": "a", "order": 0}\n```', '{"order": 0', None])
def test_an_answer_without_a_value_has_the_field_wrong(load: Callable[..., EvalSet], answer: str | None) -> None:
    eval_set = load(GATE + "min = 1\nmax_errors = 1\n")
    found = verdict(eval_set, run(eval_set, c0=answer))
    assert (found.status, found.value) == (Status.FAIL, pytest.approx(5 / 6))


def test_an_answer_that_violates_the_schema_has_no_field_right(load: Callable[..., EvalSet], tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"properties": {"team": {"type": "string"}}}')
    eval_set = load(GATE + "min = 1\n", 'scorer = "json"\nschema = "s.json"\n')
    assert verdict(eval_set, run(eval_set, c0='{"team": 1, "order": 0}')).status is Status.FAIL


def test_the_interval_is_over_the_cases_that_expect_the_field(load: Callable[..., EvalSet]) -> None:
    with pytest.raises(EvalSetErrors, match=r"6 cases cannot show field_accuracy >= 0\.9"):
        load(GATE + "min = 0.9\nconfidence = 0.95\n")
    eval_set = load(GATE + "min = 0.5\nconfidence = 0.95\n")
    found = verdict(eval_set, run(eval_set))
    assert found.status is Status.PASS
    assert found.interval is not None
    assert found.interval == interval_of_six(eval_set)


def interval_of_six(eval_set: EvalSet) -> object:
    rows = eval_set.table(run(eval_set)).slice(lambda case: "order" in case.expected[0])
    return rows.summary.value("accuracy").interval


def test_a_field_must_not_drop_below_the_baseline(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GATE + 'against = "production"\nmax_drop = 0.2\n')
    worse = run(eval_set, c0='{"team": "a", "order": 9}', c1='{"team": "a", "order": 9}')
    found = verdict(eval_set, worse, run(eval_set))
    assert (found.status, found.value) == (Status.FAIL, pytest.approx(2 / 6))
    assert found.message.startswith("field_accuracy of $.order dropped by 0.333 against production")
    # Another field may have got worse: this gate is not about it.
    other = run(eval_set, **{f"c{at}": f'{{"team": "x", "order": {at}}}' for at in range(6)})
    assert verdict(eval_set, other, run(eval_set)).status is Status.PASS


def test_a_baseline_that_does_not_say_which_fields_are_wrong_is_incomplete(load: Callable[..., EvalSet]) -> None:
    eval_set = load(GATE + 'against = "production"\nmax_drop = 0.9\n')
    old = run(eval_set, c0='{"team": "a", "order": 9}')
    assert verdict(eval_set, run(eval_set), old).status is Status.PASS
    assert old[0].score is not None
    old[0] = replace(old[0], score=replace(old[0].score, wrong=None))
    found = verdict(eval_set, run(eval_set), old)
    assert found.status is Status.INCOMPLETE
    assert "does not say which fields are wrong" in found.message
    # Nothing is right in an answer without a value, so that is known.
    assert verdict(eval_set, run(eval_set), run(eval_set, c0="x")).status is Status.PASS


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("$.a", ("$.b",), True),
        ("$.a", ("$.a",), False),
        ("$.a", ("$.a.b",), False),
        ("$.a.b", ("$.a",), False),
        ("$.a.b", ("$.a.c",), True),
        ("$.a", ("$",), False),
        ("$.a", ("$.ab",), True),
        ("$.items[*].x", ("$.items[3].x",), False),
        ("$.items[*].x", ("$.items[3].y",), True),
        ("$.items[*].x", ("$.items[3]",), False),
        ("$.items[*]", ("$.items[0].y",), False),
        ("$.f.x", ('$["f#2"].x',), False),
        ("$.f.x", ('$["f#2"].y',), True),
    ],
)
def test_a_field_is_wrong_where_something_in_it_or_around_it_is(
    field: str, wrong: tuple[str, ...], *, right: bool
) -> None:
    assert field_is_right(Score(passed=False, fields=(1, 2), wrong=wrong), field) is right
    assert not field_is_right(
        Score(passed=False, fields=(1, 2), wrong=wrong, format_failure=FormatFailure.OTHER), field
    )


def test_a_score_that_does_not_say_which_fields_are_wrong_has_none_right() -> None:
    assert not field_is_right(Score(passed=False, fields=(1, 2)), "$.a")
    assert not field_is_right(Score(passed=True), "$.a")
    assert field_is_right(Score(passed=True, fields=(2, 2)), "$.a")
    # Calls in another order have the right arguments.
    assert field_is_right(Score(passed=False, fields=(2, 2), path="$"), "$.f")


def test_the_fields_of_a_case_are_those_of_any_expected_value() -> None:
    case = Case("c", 1, (), expected=('{"a": [{"b": 1}]}', {"c": None}, "no JSON"))
    assert expected_fields(case) == {"$", "$.a", "$.a[*]", "$.a[*].b", "$.c"}
    calls = Case("c", 1, (), tool_calls=(ToolCall("f", '{"x": 1}'), ToolCall("f", '{"y": 1}'), ToolCall("g", "")))
    assert expected_fields(calls) == {"$.f", "$.f.x", "$.f.y", "$.g"}


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        (GATE.replace("order", "ordr") + "min = 1\n", "gates[0].field: no case expects the field $.ordr"),
        (GATE.replace("$.order", "order") + "min = 1\n", "gates[0].field: 'order' is not a JSON path"),
        (GATE.replace("$.order", "$.items[0]") + "min = 1\n", "gates[0].field: $.items[0] is one item of a list"),
        ('[[gates]]\nfield = "$.order"\nmin = 1\n', "gates[0].field: accuracy is not about a field"),
        ('[[gates]]\nmust_pass = ["x"]\nfield = "$.order"\n', "gates[0].field: does not go with must_pass"),
    ],
)
def test_a_gate_on_a_field_that_is_not_there_is_a_fault(load: Callable[..., EvalSet], gate: str, problem: str) -> None:
    with pytest.raises(EvalSetErrors) as caught:
        load(gate)
    assert [fault.problem for fault in caught.value.faults if fault.problem.startswith(problem)]


def test_two_fields_make_two_gates_and_one_field_twice_is_a_fault(load: Callable[..., EvalSet]) -> None:
    assert len(load(GATE + "min = 1\n" + GATE.replace("order", "team") + "min = 1\n").settings.rules) == 2
    with pytest.raises(EvalSetErrors, match="two gates are one test"):
        load(GATE + "min = 1\n" + GATE + "min = 1\n")


def _rule(**gate: Any) -> Rule:
    (rule,) = EvalSettings.model_validate({"gates": [gate]}).rules
    return rule


def test_a_gate_on_another_field_does_not_replace_one() -> None:
    before = _rule(metric="field_accuracy", field="$.order", min=0.9)
    assert lost_demand(before, [before]) == ""
    assert lost_demand(before, [_rule(metric="field_accuracy", field="$.order", min=0.95)]) == ""
    for other in (_rule(metric="field_accuracy", field="$.team", min=1), _rule(metric="field_accuracy", min=1)):
        assert lost_demand(before, [other]) == "no gate demands it now"
        assert lost_demand(other, [before]) == "no gate demands it now"
    assert lost_demand(before, [_rule(min=1)]) == ""


def test_the_self_test_knows_which_damage_a_field_gate_notices(load: Callable[..., EvalSet]) -> None:
    check = check_gates(load(GATE + "min = 1\n"))
    assert (check.gates[0].finding, check.gates[0].n) == ("", 6)
    # The four cases without an order are not protected.
    assert check.protects_nothing


def test_repeats_count_by_share(load: Callable[..., EvalSet]) -> None:
    eval_set = load("[stability]\nrepeats = 2\n" + GATE + "min = 1\n")
    samples = run(eval_set)
    again = [replace(sample, attempt=1) for sample in run(eval_set, c0='{"team": "a", "order": 7}')]
    rule = eval_set.settings.rules[0]
    summary = replace(eval_set.table([*samples, *again]).slice(rule.covers).summary, field=rule.field)
    assert summary.value("field_accuracy").exact == Fraction(11, 12)


def test_a_comparison_names_the_fields_that_got_worse(load: Callable[..., EvalSet]) -> None:
    eval_set = load("")
    good = eval_set.table(run(eval_set)).summary
    bad = run(eval_set, c0='{"team": "x", "order": 0}', c1='{"team": "a", "order": 7}', c2='{"team": "a"}', c9="no")
    worse = eval_set.table(bad).summary
    found = compare(good, worse).fields
    assert [(drop.name, drop.before, drop.after, drop.difference.n) for drop in found] == [
        ("$.order", 1, Fraction(4, 6), 6),
        ("$.team", 1, Fraction(8, 10), 10),
    ]
    for pair in ((worse, good), (good, good)):
        better = compare(*pair)
        assert all(change.difference.drop <= 0 for change in better.fields)
        assert not any("$." in text for text, _ in comparison_lines("a", "b", better, eval_set="s", show=0))
    lines = [text for text, _ in comparison_lines("a", "b", compare(good, worse), eval_set="set.jsonl", show=0)]
    drop = found[0].difference.interval(0.95)
    assert f"  $.order right 1.000 -> 0.667 [{-drop.high:+.3f}, {-drop.low:+.3f}], n=6" in lines
    hidden = comparison_lines("a", "b", compare(good, worse), eval_set="s", show=0, answers=redacted_answer_line)
    assert not any("$.order" in text for text, _ in hidden)


def test_a_comparison_with_a_record_that_does_not_say_which_fields_are_wrong_names_none(
    load: Callable[..., EvalSet],
) -> None:
    eval_set = load("")
    samples = run(eval_set, c0='{"team": "a", "order": 7}')
    worse = eval_set.table(run(eval_set, c1='{"team": "a", "order": 7}', c2="no")).summary
    assert compare(eval_set.table(samples).summary, worse).fields
    assert samples[0].score is not None
    samples[0] = replace(samples[0], score=replace(samples[0].score, wrong=None))
    assert compare(eval_set.table(samples).summary, worse).fields == ()


def test_only_the_worst_fields_are_shown() -> None:
    drop = NamedChange("$.f", Fraction(1), Fraction(1, 2), MetricDrop(Fraction(1, 2), Fraction(0), Fraction(5), 10))
    interval = Interval(0.1, 0.2)
    comparison = Comparison(Fraction(1), Fraction(1), drop.difference, 0.95, interval, (), 1.0, (drop,) * 8)
    lines = [text for text, _ in comparison_lines("a", "b", comparison, eval_set="s", show=0)]
    assert sum("$.f right" in text for text in lines) == 5
    assert "  3 more fields got worse" in lines
