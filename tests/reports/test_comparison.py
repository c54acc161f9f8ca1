from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import TICKETS, samples

from pytest_finetune.base.records import Case, Completion, FormatFailure, Sample, Score, State, ToolCall
from pytest_finetune.evaluation.runs.pairing import Refusal
from pytest_finetune.reports.comparison import answer_line, comparison_lines, not_compared_lines
from pytest_finetune.verdicts.comparison import compare
from pytest_finetune.verdicts.metrics import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.comparison import Comparison


def compared(before: Sequence[str], after: Sequence[str], *, confidence: float = 0.95) -> Comparison:
    cases = [Case(f"case-{number:02}", 0, ()) for number in range(len(before))]
    old, new = (summarize(samples(run), cases, repeats=len(before[0])) for run in (before, after))
    return compare(old, new, confidence=confidence)


def lines(
    comparison: Comparison,
    *,
    names: tuple[str, str] = ("production", "ft:b"),
    eval_set: str = TICKETS,
    show: int | None = None,
    **options: Any,
) -> list[str]:
    return [text for text, _ in comparison_lines(*names, comparison, eval_set=eval_set, show=show, **options)]


def missed(text: str, *, tool_calls: tuple[ToolCall, ...] = (), failure: FormatFailure | None = None) -> Sample:
    completion = Completion(text, tool_calls=tool_calls)
    return Sample(TICKETS, "a", 0, State.MISSED, completion, Score(passed=False, format_failure=failure))


def test_flips_come_with_both_answers_and_the_lost_ones_first() -> None:
    assert lines(compared("pmpp", "mppp")) == [
        "eval_sets/tickets.jsonl: accuracy 0.750 -> 0.750",
        "  difference 0.000 [-0.604, +0.604], lost 1, won 1, McNemar p = 1.000",
        "  lost case-00",
        "    production  passed: bug",
        "    ft:b        missed: question",
        "  won case-01",
        "    production  missed: question",
        "    ft:b        passed: bug",
    ]


def test_a_loss_is_negative_with_its_interval() -> None:
    comparison = compared("p" * 20, "p" * 14 + "m" * 6)
    head = lines(comparison, show=0)
    assert head[1].startswith("  difference -0.300 [-0.5")
    assert head[1].endswith("lost 6, won 0, McNemar p = 0.031")
    assert comparison.worse


def test_a_gain_is_positive() -> None:
    assert "difference +0.300 [+0.0" in lines(compared("p" * 14 + "m" * 6, "p" * 20), show=0)[1]


def test_a_head_too_long_for_one_line_breaks_after_the_accuracies() -> None:
    assert lines(compared("p", "p"), eval_set="x", show=0) == [
        "x: accuracy 1.000 -> 1.000",
        "  difference 0.000 [-0.793, +0.793], lost 0, won 0, McNemar p = 1.000",
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "eval_sets/feedback.jsonl", "eval_sets/" + "very-" * 30 + "long.jsonl"])
@pytest.mark.parametrize("cases", [1, 40, 2000])
def test_the_head_fits_eighty_columns_in_two_lines(name: str, cases: int) -> None:
    head = lines(compared("p" * cases, "m" * cases), eval_set=name, show=0)[:-1]
    assert len(head) <= 2
    assert max(map(len, head)) <= 80


def test_a_small_difference_is_never_rounded_to_zero() -> None:
    head = lines(compared("p" * 4000, "p" * 3999 + "m"), show=0)
    assert head[0].endswith("accuracy 1.000 -> 0.9998")
    assert head[1].startswith("  difference -0.0003 [")


def test_only_so_many_flips_are_shown_and_the_rest_counted() -> None:
    shown = lines(compared("pppmm", "mmmpp"), show=2)
    assert [line for line in shown if line.startswith(("  lost", "  won", "  not"))] == [
        "  lost case-00",
        "  lost case-01",
        "  not shown: 1 more lost, 2 more won",
    ]


def test_only_a_significant_loss_is_red() -> None:
    def is_red(before: str, after: str, confidence: float = 0.95) -> bool:
        comparison = compared(before, after, confidence=confidence)
        _, markup = next(comparison_lines("a", "b", comparison, eval_set="s", show=0))
        return "red" in markup

    assert is_red("p" * 6, "m" * 6)
    assert not is_red("p" * 5, "m" * 5)
    assert not is_red("m" * 6, "p" * 6)
    assert not is_red("p" * 6, "m" * 6, confidence=0.99)
    assert is_red("p" * 5, "m" * 5, confidence=0.9)


def test_p_is_never_rounded_onto_the_level_that_decides() -> None:
    above = compared("p" * 6, "m" * 6, confidence=0.969)
    assert not above.worse
    assert lines(above, show=0)[1].endswith("p = 0.0312")


def test_repeats_show_how_often_each_run_passed_and_why_not() -> None:
    assert lines(compared(["ppp"], ["pem"]))[-2:] == [
        "    production  3 of 3 passed: bug",
        "    ft:b        1 of 3 passed, error: timeout: no answer within 120 s",
    ]


def test_a_sample_that_was_never_made_is_unrun() -> None:
    assert lines(compared(["p"], ["."]))[-1] == "    ft:b        unrun"


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (missed("```json\n{}", failure=FormatFailure.FENCED), "missed (fenced): ```json\n{}"),
        (missed("", tool_calls=(ToolCall("go", '{"to":1}'), ToolCall("stop", "{}"))), 'missed: go({"to":1}); stop({})'),
        (missed(""), "missed: (nothing)"),
        (Sample(TICKETS, "a", 0, State.UNRUN), "unrun"),
    ],
)
def test_an_answer_line_shows_how_the_sample_ended(sample: Sample, expected: str) -> None:
    assert answer_line([sample]) == expected


def test_the_caller_can_format_answers() -> None:
    assert lines(compared("p", "m"), answers=lambda samples: f"{len(samples)} seen")[-1] == "    ft:b        1 seen"


@given(st.text(), st.text(), st.text())
def test_no_control_code_of_a_model_or_a_record_reaches_the_terminal(text: str, case_id: str, name: str) -> None:
    cases = [Case(case_id, 0, ())]
    before = Sample(TICKETS, case_id, 0, State.PASSED, Completion(text), Score(passed=True))
    comparison = compare(summarize([before], cases), summarize([], cases))
    shown = lines(comparison, names=(name, "\x1b[31m"), eval_set=name)
    assert all(line.isprintable() for line in shown)
    assert max(map(len, shown)) <= 80


def test_a_refusal_names_twenty_cases_and_counts_the_rest() -> None:
    refusal = Refusal(
        TICKETS, "its cases changed", "ask again", tuple(f"a{n}" for n in range(18)), ("b",), tuple("cdef")
    )
    text = "\n".join(line for line, _ in not_compared_lines(refusal))
    assert text == (
        "eval_sets/tickets.jsonl: not compared: its cases changed\n"
        "  only in A (18): a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13,\n"
        "    a14, a15, a16, a17\n"
        "  only in B (1): b\n"
        "  different prompts or tools (4): c, 3 more\n"
        "  hint: ask again"
    )


def test_an_id_as_long_as_a_page_is_shortened_in_a_refusal() -> None:
    refusal = Refusal(TICKETS, "changed", "", ("x" * 5000, "\x1b[2J"))
    shown = [line for line, _ in not_compared_lines(refusal)]
    assert max(map(len, shown)) <= 80
    assert "\\x1b[2J" in "".join(shown)
