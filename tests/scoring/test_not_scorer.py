from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.base.records import Case


def test_what_the_other_scorer_accepts_is_wrong(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("not", scorer_options={"of": "contains"}, normalize=["casefold"])
    assert made.score(case("password", "secret"), Completion("Here is your order.")).passed
    score = made.score(case("password", "secret"), Completion("The SECRET is 7"))
    assert (score.passed, score.format_failure) == (False, None)
    assert score.detail == "contains accepts 'The SECRET is 7', which is wrong here"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Completion(""), FormatFailure.EMPTY),
        (Completion("", finish_reason="tool_calls"), FormatFailure.EMPTY),
        (Completion("fine", refusal="no"), FormatFailure.REFUSAL),
        (Completion("fine", finish_reason="content_filter"), FormatFailure.FILTERED),
        # The unwanted text may have come next.
        (Completion("fine", finish_reason="length"), FormatFailure.TRUNCATED),
    ],
)
def test_no_answer_is_not_a_good_one(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: Completion, failure: FormatFailure
) -> None:
    score = scorer("not", scorer_options={"of": "exact"}).score(case("x"), answer)
    assert (score.passed, score.format_failure) == (False, failure)


@pytest.mark.parametrize(
    ("of", "answer"),
    [("regex", "a" * 80 + "!"), ("schema", json.dumps("a" * 80 + "!")), ("sql", "SELECT " + "1 + " * 200_000)],
)
@pytest.mark.slow
def test_an_answer_that_the_other_scorer_gave_up_on_is_not_a_good_one(
    scorer: Callable[..., Any], case: Callable[..., Case], tmp_path: Path, of: str, answer: str
) -> None:
    slow = {"pattern": "^(a|aa)+b$", "type": "string"}
    (tmp_path / "slow.json").write_text(json.dumps(slow), "utf-8")
    settings = {"schema": "slow.json"} if of == "schema" else {}
    made = scorer("not", scorer_options={"of": of}, **settings)
    score = made.score(case("SELECT 1" if of == "sql" else "(a|aa)+b"), Completion(answer))
    assert (score.passed, score.undecided) == (False, True)
    assert f"{of} gave up" in score.detail


def test_an_answer_nested_too_deeply_to_compare_is_not_a_good_one(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    score = scorer("not", scorer_options={"of": "json"}).score(case({"a": 1}), Completion("[" * 800 + "]" * 800))
    assert (score.passed, score.undecided, score.detail) == (False, True, "json gave up: nested too deeply")


def test_the_other_scorer_has_the_settings_as_they_were_written(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    # Without `normalize`, strings in JSON are compared as they are.
    assert scorer("not", scorer_options={"of": "json"}).score(case({"a": "x"}), Completion('{"a": " x "}')).passed
    normalized = scorer("not", scorer_options={"of": "json"}, normalize=["strip"])
    assert not normalized.score(case({"a": "x"}), Completion('{"a": " x "}')).passed
    typed = scorer("not", scorer_options={"of": "schema"}, schema={"type": "object"})
    assert [typed.score(case(), Completion(text)).passed for text in ("{}", "[]")] == [False, True]


def test_the_other_scorer_has_its_own_options(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("not", scorer_options={"of": {"type": "fuzzy", "threshold": 0.8}})
    assert not made.score(case("hello world"), Completion("hello worlds")).passed
    assert made.score(case("hello world"), Completion("goodbye")).passed
    assert scorer("not", scorer_options={"of": "json"}).score(case("{}"), Completion("no JSON")).passed


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "needs of"),
        ({"of": {"threshold": 0.5}}, "of: the table names no scorer"),
        ({"of": {"type": 3}}, "of: the table names no scorer"),
        ({"of": "not"}, "of: 'not' of 'not' is the scorer itself"),
        (
            {"of": "tool_call"},
            "hint: use scorer 'tool_call' and expect a text in the cases where no call is right",
        ),
        ({"of": "fuzzy"}, "needs threshold"),
        ({"of": {"type": "contains", "threshold": 1}}, "threshold: unknown key"),
        ({"of": 5}, "of"),
        (
            {"of": {"type": "embedding", "model": "e", "threshold": 0.5}},
            "of: 'embedding' asks another model\n  hint: say in its rubric what must not be there",
        ),
    ],
)
def test_a_negation_of_nothing_is_refused(scorer: Callable[..., Any], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ScorerError) as caught:
        scorer("not", scorer_options=options)
    assert problem in str(caught.value)


def test_a_setting_that_the_other_scorer_does_not_read_is_refused(scorer: Callable[..., Any]) -> None:
    with pytest.raises(ScorerError, match="'labels' has no effect on scorer 'exact'"):
        scorer("not", scorer_options={"of": "exact"}, labels=["a"])
    assert scorer("not", scorer_options={"of": "label"}, labels=["a"]).inner.labels == ("a",)


def test_cases_are_checked_by_the_other_scorer(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert scorer("not", scorer_options={"of": "regex"}).check(case("(")).startswith("expected '(' is not a pattern")
    assert scorer("not", scorer_options={"of": "exact"}).check(case()) == "no expected text"


def test_the_fingerprint_is_that_of_the_other_scorer(scorer: Callable[..., Any], tmp_path: Any) -> None:
    (tmp_path / "judge_of_not.py").write_text("def bad(case, completion):\n    return 'x' in completion.text\n")
    made = scorer("not", scorer_options={"of": "judge_of_not:bad"})
    assert made.fingerprint == scorer("judge_of_not:bad").fingerprint != ""
    assert scorer("not", scorer_options={"of": "exact"}).fingerprint == ""


def test_explanations_and_right_answers(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("not", scorer_options={"of": "contains"})
    assert made.explain(case("x"), Completion("a x")) == ["unwanted: 'x'", "got 'a x'"]
    assert any(made.score(case("An answer"), answer).passed for answer in made.right_answers(case("An answer")))


def test_what_was_unwanted_is_listed_with_the_answer(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("not", scorer_options={"of": "contains"})
    assert made.explain(case("yes", "sure"), Completion("sure thing")) == [
        "unwanted: 'yes', 'sure'",
        "got 'sure thing'",
    ]
    first, second = made.explain(case(), Completion("x" * 300))
    assert (first, len(second)) == ("unwanted", len("got ''") + 200)
