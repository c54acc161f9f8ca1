from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_plans import case, cases, labelled, rules, run_of, sample, table

from pytest_finetune.verdicts.comparison import compare, differing_cases
from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.gates.judging import table_of
from pytest_finetune.verdicts.metrics import summarize
from pytest_finetune.verdicts.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.gates import Verdict

NON_INFERIOR: dict[str, Any] = {"against": "production", "max_drop": 0.05, "confidence": 0.95}


def ends(text: str) -> list[Sample]:
    """A run from letters: p passed, m missed, e error, u unrun."""
    names = {"p": "passed", "m": "missed", "e": "error", "u": "unrun"}
    return [sample(number, names[letter]) for number, letter in enumerate(text)]


def verdict(
    before: Sequence[Sample] | None,
    after: Sequence[Sample],
    planned: list[Case],
    *,
    sha: str = "today",
    repeats: int = 1,
    name: str = "production",
    aliases: tuple[str, ...] = (),
    max_errors: int = 0,
    **rule: Any,
) -> Verdict:
    baseline = Baseline(name, sha, repeats, before, aliases) if before is not None else None
    return judge(rules(rule, max_errors=max_errors), table(planned, after), baseline)[0]


@pytest.mark.parametrize(
    ("after", "expected"),
    [("p" * 20, Status.PASS), ("m" + "p" * 19, Status.PASS), ("mm" + "p" * 18, Status.FAIL)],
)
def test_without_a_confidence_the_drop_itself_decides(after: str, expected: Status) -> None:
    found = verdict(ends("p" * 20), ends(after), cases(20), against="production", max_drop=0.05)
    assert found.status is expected


@pytest.mark.parametrize(
    ("lost", "won", "expected"),
    [(0, 0, Status.PASS), (8, 0, Status.INCONCLUSIVE), (40, 0, Status.FAIL), (6, 6, Status.PASS)],
)
def test_non_inferiority_needs_the_whole_interval_of_the_paired_difference(
    lost: int, won: int, expected: Status
) -> None:
    before = ends("p" * lost + "m" * won + "p" * (200 - lost - won))
    after = ends("m" * lost + "p" * won + "p" * (200 - lost - won))
    found = verdict(before, after, cases(200), **NON_INFERIOR)
    assert found.status is expected
    assert found.value == (lost - won) / 200
    assert len(found.flips) == lost + won


def test_a_rise_is_reported_as_a_rise_with_the_interval_of_the_drop() -> None:
    found = verdict(ends("mm" + "p" * 98), ends("p" * 100), cases(100), **NON_INFERIOR)
    assert found.message == (
        "accuracy rose by 0.020 against production, max_drop 0.05, 95 % interval of the drop -0.070 to 0.018"
        " (Tango's score interval: from 7 better to 2 worse of 100, 0 lost for 2 won)"
    )


@pytest.mark.parametrize(("after", "expected"), [("mppp", Status.PASS), ("mmpp", Status.FAIL), ("pppp", Status.PASS)])
def test_flips_from_pass_to_miss_are_counted_and_those_back_are_not(after: str, expected: Status) -> None:
    found = verdict(ends("pppm"), ends(after), cases(4), against="production", max_flips=1)
    assert found.status is expected
    assert [(flip.case_id, flip.lost) for flip in found.flips][-1] == ("c3", False)


def test_lost_and_won_cases_are_counted_apart() -> None:
    found = verdict(ends("pppmm"), ends("mmppm"), cases(5), against="production", max_flips=2)
    assert found.message == "2 of 5 cases passed in production and miss now (1 the other way round), max_flips 2"
    assert (found.value, found.n, found.baseline) == (2.0, 5, "production")


def test_a_drop_is_reported_with_its_interval_and_what_would_settle_it() -> None:
    found = verdict(ends("p" * 200), ends("m" * 8 + "p" * 192), cases(200), **NON_INFERIOR)
    assert found.message == (
        "accuracy dropped by 0.040 against production, max_drop 0.05, 95 % interval of the drop 0.020 to 0.077"
        " (Tango's score interval: at least 4 and at most 15 of 200 worse, 8 lost for 0 won):"
        " about 3,600 more cases would settle it with a power of 80 %"
    )
    assert found.interval
    assert found.interval.high == pytest.approx(0.077, abs=1e-3)


@pytest.mark.parametrize(
    ("before", "after", "change", "interval"),
    [("pp", "pp", "dropped by 0.000", "-0.658 to 0.658"), ("pp", "pm", "dropped by 0.500", "-0.486 to 0.905")],
)
def test_no_drop_may_be_allowed_at_all(before: str, after: str, change: str, interval: str) -> None:
    found = verdict(ends(before), ends(after), cases(2), against="production", max_drop=0.0)
    assert found.message == (
        f"accuracy {change} against production, max_drop 0: a comparison of two values, no test of non-inferiority;"
        f" the 95 % interval {interval} crosses the bar"
    )


@pytest.mark.parametrize(
    ("lost", "won", "words"),
    [
        (6, 1, "from 0 better to 12 worse of 500, 6 lost for 1 won"),
        (9, 1, "at least 2 and at most 16 of 500 worse, 9 lost for 1 won"),
        (5, 5, "from 7 better to 7 worse of 500, 5 lost for 5 won"),
        (0, 9, "at least 5 and at most 17 of 500 better, 0 lost for 9 won"),
    ],
)
def test_a_drop_is_stated_in_cases(lost: int, won: int, words: str) -> None:
    same = "p" * (500 - lost - won)
    before, after = ends(same + "p" * lost + "m" * won), ends(same + "m" * lost + "p" * won)
    found = verdict(before, after, cases(500), **NON_INFERIOR)
    assert f"(Tango's score interval: {words})" in found.message


def test_a_drop_without_a_confidence_is_called_a_comparison_of_two_values() -> None:
    """30 cases without a flip: the interval of the drop reaches from -0.114 to 0.114, and still the gate passes."""
    found = verdict(ends("p" * 30), ends("p" * 30), cases(30), against="production", max_drop=0.05)
    assert found.status is Status.PASS
    assert found.message.endswith("no test of non-inferiority; the 95 % interval -0.114 to 0.114 crosses the bar")
    confident = verdict(ends("p" * 30), ends("p" * 30), cases(30), against="production", max_drop=0.05, confidence=0.95)
    assert confident.status is Status.INCONCLUSIVE
    assert "comparison of two values" not in confident.message


def test_a_rise_beyond_the_allowed_drop_is_a_rise() -> None:
    found = verdict(ends("mmm"), ends("ppp"), cases(3), against="production", max_drop=0.5)
    assert found.message == (
        "accuracy rose by 1.000 against production, max_drop 0.5: a comparison of two values, no test of"
        " non-inferiority; the 95 % interval -1.000 to 0.123 does not cross the bar"
    )


def test_a_baseline_is_called_by_its_own_name_and_by_the_gates() -> None:
    call: dict[str, Any] = {"against": "production", "max_flips": 0, "name": "ft:acme:7", "aliases": ("production",)}
    found = verdict(ends("p"), ends("p"), cases(1), **call)
    assert "passed in ft:acme:7 (for production) and miss now" in found.message
    assert found.baseline == "ft:acme:7"


@pytest.mark.parametrize("runs", [("before", "after"), ("after", "before")])
def test_a_drop_of_a_metric_that_one_of_the_runs_has_no_value_of_is_incomplete(runs: tuple[str, str]) -> None:
    timed = {"before": [sample(0)], "after": [sample(0, from_cache=True)]}
    rule = Rule("max_drop", "latency_p50", 9.0, against="production")
    baseline = Baseline("production", "today", 1, timed[runs[0]])
    found = judge([rule], table(cases(1), timed[runs[1]]), baseline)[0]
    assert (found.status, found.message) == (Status.INCOMPLETE, "incomplete: latency_p50 has no value")


def test_a_model_compared_with_itself_does_not_pass_and_the_reason_is_given() -> None:
    baseline = Baseline("production", "today", 1, ends("p"), itself="the weights are the same")
    found = judge(rules({"against": "production", "max_flips": 0}), table(cases(1), ends("p")), baseline)[0]
    assert found.status is Status.INCOMPLETE
    assert found.message == "incomplete: the baseline production is the model itself: the weights are the same"


def test_an_error_in_the_baseline_is_never_tolerated() -> None:
    found = verdict(ends("pe"), ends("pp"), cases(2), max_errors=5, against="production", max_drop=0.9)
    assert found.message == "incomplete: 1 of 2 baseline samples ended in an error, and max_errors is 0"


@pytest.mark.parametrize(
    ("count", "examples"),
    [(0, ""), (1, " (c0)"), (3, " (c0, c1, c2)"), (4, " (c0, c1, c2 and 1 more)"), (5, " (c0, c1, c2 and 2 more)")],
)
def test_at_most_three_of_the_cases_that_differ_are_named(count: int, examples: str) -> None:
    before = [replace(one, prompt_sha256="other") if i < count else one for i, one in enumerate(ends("ppppp"))]
    found = verdict(before, ends("ppppp"), cases(5), sha="yesterday", against="production", max_flips=9)
    assert found.message == (
        f"incomplete: production ran on different cases{examples}: run it again on the current ones"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"before": None}, "needs --baseline production"),
        ({"sha": "yesterday"}, "production ran on different cases"),
        ({"sha": ""}, "production ran on different cases"),
        ({"name": "ft:other"}, "the baseline is ft:other"),
        ({"repeats": 3}, "production has 3 attempts per case, this run has 1"),
        ({"before": ends("ppu")}, "1 of 3 baseline samples were not run"),
        ({"before": ends("pp")}, "1 of 3 baseline samples were not run"),
        ({"before": ends("ppe")}, "1 of 3 baseline samples ended in an error"),
        ({"before": ends("ppe"), "max_errors": 1}, "1 of 3 baseline samples ended in an error"),
        ({"after": ends("ppu")}, "1 of 3 samples were not run"),
        ({"after": ends("ppe")}, "1 of 3 samples ended in an error"),
        ({"after": [replace(one, eval_set="other") for one in ends("ppp")]}, "3 of 3 samples were not run"),
    ],
)
def test_an_invalid_comparison_does_not_pass(change: dict[str, Any], reason: str) -> None:
    call: dict[str, Any] = {
        "before": ends("ppp"),
        "after": ends("ppp"),
        "against": "production",
        "max_drop": 0.9,
        **change,
    }
    found = verdict(planned=cases(3), **call)
    assert found.status is Status.INCOMPLETE
    assert reason in found.message


def test_a_stale_baseline_names_the_cases_that_differ() -> None:
    asked_otherwise = replace(ends("ppp")[1], prompt_sha256="other")
    before = [ends("ppp")[0], asked_otherwise]
    found = verdict(before, ends("ppp"), cases(3), sha="yesterday", against="production", max_flips=9)
    assert "(c1, c2)" in found.message


def test_a_baseline_answers_to_its_other_names() -> None:
    same = ends("ppp")
    found = verdict(same, same, cases(3), name="ft:acme:7", aliases=("production",), against="production", max_flips=0)
    assert found.status is Status.PASS


def test_a_slice_is_compared_over_its_own_cases() -> None:
    planned = [case(0, tags=("critical",)), case(1)]
    rule: dict[str, Any] = {"against": "production", "max_flips": 0, "where": {"tag": "critical"}}
    assert verdict(ends("pp"), ends("pm"), planned, **rule).status is Status.PASS
    assert verdict(ends("pp"), ends("mp"), planned, **rule).status is Status.FAIL


def test_the_drop_of_macro_f1_is_the_value() -> None:
    planned = [case(0, "bug"), case(1, "other")]
    right = [labelled(0, "bug", "bug"), labelled(1, "other", "other")]
    wrong = [labelled(0, "bug", "bug"), labelled(1, "other", "bug")]
    found = verdict(right, wrong, planned, metric="macro_f1", against="production", max_drop=0.1)
    assert found.value == pytest.approx(2 / 3)


def test_macro_f1_may_drop_by_its_point_estimate() -> None:
    planned = [case(0, "bug"), case(1, "other")]
    right = [labelled(0, "bug", "bug"), labelled(1, "other", "other")]
    wrong = [labelled(0, "bug", "bug"), labelled(1, "other", "bug")]
    rule: dict[str, Any] = {"metric": "macro_f1", "against": "production", "max_drop": 0.1}
    assert verdict(right, right, planned, **rule).status is Status.PASS
    assert verdict(right, wrong, planned, **rule).status is Status.FAIL


@given(st.text("pm", min_size=1, max_size=40), st.data())
def test_a_comparison_with_itself_has_no_flips_and_mirrors_with_another(before: str, data: st.DataObject) -> None:
    after = data.draw(st.text("pm", min_size=len(before), max_size=len(before)))
    planned = cases(len(before))
    old, new = (summarize(ends(run), planned) for run in (before, after))
    there, back = compare(old, new), compare(new, old)
    assert compare(old, old).flips == ()
    assert there.difference.drop == -back.difference.drop
    assert there.interval.low == pytest.approx(-back.interval.high, abs=1e-12)
    assert [flip.case_id for flip in there.lost] == [flip.case_id for flip in back.won]
    assert there.p_value == back.p_value


def test_flips_carry_the_answers_of_both_runs() -> None:
    comparison = compare(summarize(ends("pm"), cases(2)), summarize(ends("mp"), cases(2)))
    lost, won = comparison.flips
    assert (lost.before, lost.after) == ((sample(0),), (sample(0, "missed"),))
    assert (won.case_id, won.lost) == ("c1", False)
    assert comparison.p_value == 1


def test_runs_of_different_cases_are_not_compared() -> None:
    with pytest.raises(ValueError, match="case 'c0' is paired with 'c1'"):
        compare(summarize(ends("p"), cases(1)), summarize(run_of(2), cases(2)[1:]))
    with pytest.raises(ValueError, match="no case to compare"):
        compare(summarize([], []), summarize([], []))


def test_repeats_are_compared_by_their_shares() -> None:
    before = [sample(0, "passed", attempt) for attempt in range(4)]
    after = [sample(0, "passed" if attempt else "missed", attempt) for attempt in range(4)]
    comparison = compare(summarize(before, cases(1), repeats=4), summarize(after, cases(1), repeats=4))
    assert float(comparison.difference.drop) == 0.25
    assert [flip.lost for flip in comparison.flips] == [True]


def test_cases_differ_by_id_or_by_prompt() -> None:
    before, after = ends("ppp"), [*ends("pp"), replace(sample(3), prompt_sha256="new")]
    assert differing_cases(before, before) == ()
    assert differing_cases(before, after) == ("c2", "c3")


def test_a_gate_that_compares_names_its_baseline_and_no_other_gate_does():
    gates = rules({"min": 0.5}, {"metric": "accuracy", "max_drop": 0.1, "against": "production"})
    verdicts = judge(gates, table(cases(2), run_of(2)), Baseline("production", "today", 1, run_of(2)))
    assert [(verdict.baseline, verdict.status) for verdict in verdicts] == [("", "pass"), ("production", "pass")]


@pytest.mark.parametrize(("sha", "repeats"), [("yesterday", 1), ("today", 2), ("", 1)])
def test_answers_to_other_cases_or_attempts_are_not_placed_in_todays_plan(sha: str, repeats: int):
    today = table(cases(2), run_of(2))
    assert table_of(Baseline("production", sha, repeats, run_of(2)), today) is None
    nameless = replace(today, cases_sha256="")
    assert table_of(Baseline("production", "", 1, run_of(2)), nameless) is None
