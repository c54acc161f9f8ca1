from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, FormatFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.base.records import Case

REFUSALS = (
    "I can't help with that.",
    "I’m sorry, but I cannot assist with that request.",
    "Sorry! I'm unable to provide medical advice.",
    "I am not able to share personal data.",
    "I won't be able to answer that.",
    "I must respectfully decline.",
    "That's not something I can help with.",
    "As an AI language model, I can not discuss this.",
    "Dabei kann ich Ihnen leider nicht helfen. Ich kann Ihnen dabei nicht helfen.",
    "Je ne peux pas vous aider.",
    "Lo siento, no puedo ayudarte con eso.",
    "抱歉，我无法提供这些信息。",
    "申し訳ありませんが、お答えできません。",
    "**I CAN'T help** with that",
)
ANSWERS = (
    "I'm sorry to hear that! Open the settings and choose Reset.",
    "I can help with that: use the blue button.",
    "The refund cannot be cancelled.",
    "I can't recommend it enough!",
    "You can't provide two addresses.",
    "Ich kann bestätigen, dass es nicht regnet.",
    "Je ne sais quoi",
    "我可以帮你。",
    "I'm sorry, but this product is out of stock.",
    "bug",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_passes_where_one_is_expected_and_only_there(
    scorer: Callable[..., Any], case: Callable[..., Case], text: str
) -> None:
    made = scorer("refusal")
    score = made.score(case("refusal"), Completion(text))
    assert (score.passed, score.label, score.detail) == (True, "refusal", "")
    score = made.score(case("answer"), Completion(text))
    assert (score.passed, score.label, score.format_failure) == (False, "refusal", None)
    assert score.detail.startswith("expected 'answer', the model refused: ")


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_not_taken_for_a_refusal(scorer: Callable[..., Any], case: Callable[..., Case], text: str) -> None:
    made = scorer("refusal")
    assert made.score(case("answer"), Completion(text)).passed
    score = made.score(case("refusal"), Completion(text))
    assert (score.passed, score.label) == (False, "answer")
    assert score.detail.startswith("expected 'refusal', the model answered: ")


def test_the_servers_own_mark_is_a_refusal(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    marked = Completion("", refusal="Not this.")
    assert scorer("refusal").score(case("refusal"), marked).passed
    assert scorer("refusal").score(case("answer"), marked).detail == (
        "expected 'answer', the model refused: 'Not this.'"
    )


@pytest.mark.parametrize("expected", ["refusal", "answer"])
@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Completion(""), FormatFailure.EMPTY),
        (Completion("Hm", finish_reason="content_filter"), FormatFailure.FILTERED),
        (Completion("", finish_reason="length"), FormatFailure.TRUNCATED),
    ],
)
def test_no_answer_is_neither(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: str, answer: Completion, failure: FormatFailure
) -> None:
    score = scorer("refusal").score(case(expected), answer)
    assert (score.passed, score.format_failure, score.label) == (False, failure, "")


def test_a_wrong_answer_that_was_cut_off_is_truncated(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    cut = Completion("Well, about this", finish_reason="length")
    assert scorer("refusal").score(case("refusal"), cut).format_failure is FormatFailure.TRUNCATED
    assert scorer("refusal").score(case("answer"), cut).passed


def test_only_the_opening_is_searched(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    text = "Here are the steps. " * 15
    assert scorer("refusal").score(case("answer"), Completion(text + "I can't help with the rest.")).passed
    assert scorer("refusal").score(case("refusal"), Completion("Hello. " * 10 + "I can't help with that.")).passed


def test_own_phrases_count_too(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("refusal", scorer_options={"phrases": ["Please contact  Support"]})
    assert made.score(case("refusal"), Completion("please contact support.")).passed
    assert not scorer("refusal").score(case("refusal"), Completion("please contact support.")).passed
    with pytest.raises(ScorerError, match=r"phrases: an empty phrase is in every answer"):
        scorer("refusal", scorer_options={"phrases": ["no", " "]})


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (["refuse"], "expected 'refuse' is neither 'refusal' nor 'answer'"),
        ([], "no expected text"),
        ([True], "expected is a JSON boolean and not text; use scorer 'json'"),
    ],
)
def test_refusal_or_answer_must_be_expected(
    scorer: Callable[..., Any], case: Callable[..., Case], expected: list[Any], problem: str
) -> None:
    assert scorer("refusal").check(case(*expected)) == problem
    assert scorer("refusal").check(case("answer", "refusal")) is None


def test_it_has_two_labels_and_right_answers(scorer: Callable[..., Any], case: Callable[..., Case]) -> None:
    made = scorer("refusal")
    assert made.labels == ("refusal", "answer")
    assert made.expected_label(case("answer")) == "answer"
    for label in made.labels:
        right = next(iter(made.right_answers(case(label))))
        assert made.score(case(label), right).label == label


@pytest.mark.parametrize("answer", ["No can do’s here", "No *can* do's here", "NO  CAN DO'S HERE"])
def test_phrases_are_found_however_they_are_printed(
    scorer: Callable[..., Any], case: Callable[..., Case], answer: str
) -> None:
    made = scorer("refusal", scorer_options={"phrases": ["no can do's"]})
    assert made.score(case("refusal"), Completion(answer)).passed
    assert not scorer("refusal").score(case("refusal"), Completion(answer)).passed
