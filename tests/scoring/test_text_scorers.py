from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure
from pytest_finetune.verdicts.scoring.scorers import regex as pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

TEXT_SCORERS: dict[str, dict[str, Any]] = {
    "exact": {},
    "contains": {},
    "regex": {},
    "label": {"labels": ["bug", "other"]},
}


@pytest.mark.parametrize("answer", ["bugs", "bug report", "a bug", "Bug", "bug."])
def test_exact_takes_neither_a_prefix_nor_another_spelling(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str
) -> None:
    score = scorer().score(case("bug"), Completion(answer))
    assert not score.passed
    assert score.format_failure is None
    assert score.detail == f"expected 'bug', got '{answer}'"


def test_exact_normalizes_both_sides(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer(normalize=["strip", "casefold"])
    assert made.score(case("  Bug"), Completion("bUG\n")).passed


def test_any_expected_answer_is_accepted(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert scorer().score(case("yes", "yeah"), Completion("yeah")).passed


@pytest.mark.parametrize("name", TEXT_SCORERS)
@pytest.mark.parametrize(
    ("completion", "failure"),
    [
        (Completion(""), FormatFailure.EMPTY),
        (Completion(" \n"), FormatFailure.EMPTY),
        (Completion("", finish_reason="length"), FormatFailure.TRUNCATED),
        (Completion("", refusal="I cannot help with that."), FormatFailure.REFUSAL),
        (Completion("bug", refusal="I cannot help with that."), FormatFailure.REFUSAL),
        (Completion("bug", finish_reason="content_filter"), FormatFailure.FILTERED),
        (Completion("a very long", finish_reason="length"), FormatFailure.TRUNCATED),
    ],
)
def test_a_missing_answer_is_named_by_its_cause(
    scorer: Callable[..., Any],
    case: Callable[..., Case],
    name: str,
    completion: Completion,
    failure: FormatFailure,
) -> None:
    score = scorer(name, **TEXT_SCORERS[name]).score(case("bug"), completion)
    assert not score.passed
    assert score.format_failure is failure
    assert score.detail


@pytest.mark.parametrize("name", TEXT_SCORERS)
def test_a_right_answer_at_the_token_limit_is_right(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str
) -> None:
    assert scorer(name, **TEXT_SCORERS[name]).score(case("bug"), Completion("bug", finish_reason="length")).passed


def test_an_answer_with_only_tool_calls_is_not_text(
    scorer: Callable[..., Any], case: Callable[..., Case], calling: Callable[..., Completion]
) -> None:
    score = scorer().score(case("bug"), calling(("f", "{}")))
    assert score.format_failure is FormatFailure.EMPTY
    assert "called tools" in score.detail


@pytest.mark.parametrize("name", TEXT_SCORERS)
@pytest.mark.parametrize("expected", [(), (1,), ({"a": 1},), ("",), ("  ",), ("bug", None)])
def test_an_expected_answer_that_is_not_text_is_refused(
    scorer: Callable[..., Any], case: Callable[..., Case], name: str, expected: Any
) -> None:
    assert scorer(name, **TEXT_SCORERS[name]).check(case(*expected))


def test_an_expected_text_that_normalizing_empties_is_refused(
    scorer: Callable[..., Any], case: Callable[..., Case]
) -> None:
    assert "leaves nothing" in scorer(normalize=["strip"]).check(case(" \n"))


def test_contains_finds_a_text_anywhere(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("contains", normalize=["casefold"])
    assert made.score(case("Paris"), Completion("It is paris, of course.")).passed
    assert not made.score(case("Paris"), Completion("It is Rome.")).passed


def test_a_pattern_must_match_the_whole_answer(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("regex")
    assert made.score(case(r"[0-9]{3}"), Completion("123")).passed
    assert not made.score(case(r"[0-9]{3}"), Completion("1234")).passed
    assert not made.score(case(r"a|b"), Completion("ab")).passed


@pytest.mark.parametrize("bad", ["(", "a{2,1}", "[z-a]", "*"])
def test_a_bad_pattern_is_found_when_the_set_is_loaded(
    scorer: Callable[..., Any], case: Callable[..., Case], bad: str
) -> None:
    assert "is not a pattern" in scorer("regex").check(case("fine", bad))


def test_a_pattern_that_never_ends_is_a_miss(
    scorer: Callable[..., Any], case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pattern, "SECONDS", 0.05)
    score = scorer("regex").score(case("(x+x+)+y"), Completion("x" * 5000))
    assert not score.passed
    assert "took longer" in score.detail


def test_a_label_is_reported_as_spelt_in_the_settings(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("label", labels=["Bug", "Other"], normalize=["strip", "casefold"])
    assert made.score(case("bug"), Completion(" BUG ")).label == "Bug"
    assert made.expected_label(case("BUG", "other")) == "Bug"
    assert made.labels == ("Bug", "Other")


def test_a_wrong_label_is_valid_and_missed(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    score = scorer("label", labels=["bug", "other"]).score(case("bug"), Completion("other"))
    assert (score.passed, score.format_failure, score.label) == (False, None, "other")
    assert score.detail == "expected 'bug', got 'other'"


@pytest.mark.parametrize("answer", ["bu", "bug!", "It is a bug.", "bug, other"])
def test_an_answer_outside_the_labels_is_a_format_failure(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str
) -> None:
    score = scorer("label", labels=["bug", "other"]).score(case("bug"), Completion(answer))
    assert (score.passed, score.format_failure, score.label) == (False, FormatFailure.NOT_IN_ENUM, "")


@pytest.mark.parametrize("answer", ["I'm sorry, but I can't help with that.", "抱歉，我无法回答。", "As an AI, I"])
def test_a_refusal_in_prose_is_named_a_refusal(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str
) -> None:
    score = scorer("label", labels=["bug", "other"]).score(case("bug"), Completion(answer))
    assert score.format_failure is FormatFailure.REFUSAL


def test_a_label_may_look_like_a_refusal(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("label", labels=["I can't log in", "other"])
    assert made.score(case("I can't log in"), Completion("I can't log in")).passed


@pytest.mark.parametrize(
    ("labels", "problem"),
    [([], "needs labels"), (["Bug", "bug"], "are the same after normalizing"), (["bug", " "], "is empty")],
)
def test_labels_that_cannot_tell_answers_apart_are_refused(
    scorer: Callable[..., Any], labels: list[str], problem: str
) -> None:
    with pytest.raises(ScorerError, match=problem):
        scorer("label", labels=labels, normalize=["strip", "casefold"])


def test_an_expected_label_must_be_in_the_list(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    assert scorer("label", labels=["bug", "other"]).check(case("bugg")).endswith("did you mean 'bug'?")
