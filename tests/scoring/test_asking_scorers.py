"""What scorers that ask a model send, and how they read its replies; no server is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Case, Completion, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.evalset.scorer import Scorer

    Make = Callable[..., Scorer]

JUDGE = {"model": "j", "rubric": "Be kind."}
LABELS = {"labels": ["good", "fair", "bad"], "scorer_options": {**JUDGE, "passes": ["good", "fair"]}}
SCALE = {"min": 1, "max": 5, "pass_at_least": 4}
GATED = {"scorer_options": JUDGE, "gates": [{"metric": "win_rate", "min": 0.5}]}
ASKED = Case("one", 1, (Message("user", "hi"),), expected=("hello",))
ANSWER = Completion("text", finish_reason="stop")


def reply(text: str, **facts: Any) -> Completion:
    return Completion(text, **{"finish_reason": "stop", **facts})


def scale(**change: float) -> dict[str, Any]:
    return {"scorer_options": {**JUDGE, "score": {**SCALE, **change}}}


@pytest.mark.parametrize(
    ("written", "value", "passed"),
    [("VERDICT: 4", 4.0, True), ("good enough\nVERDICT: 3.9", 3.9, False), ("VERDICT: 1", 1.0, False),
     ("VERDICT: 5", 5.0, True)],
)  # fmt: skip
def test_a_judges_number_passes_from_the_limit_on(scorer: Make, written: str, value: float, *, passed: bool) -> None:
    judge = scorer("judge", **scale())
    score = judge.score_replies(ASKED, ANSWER, [reply(written)])
    assert (judge.verdict(reply(written)), score.passed) == (value, passed)
    assert score.detail == f"judge: {value}"


@pytest.mark.parametrize("written", ["0.9", "5.1", "nan", "four", "1e0", ""])
def test_a_number_outside_the_range_is_no_verdict(scorer: Make, written: str) -> None:
    with pytest.raises(ScorerError, match=r"is not a number from 1 to 5$"):
        scorer("judge", **scale()).read_verdict(written)


@pytest.mark.parametrize("change", [{"min": 4}, {"min": 4.5}, {"max": 3.9}])
def test_a_range_in_which_every_answer_passes_or_none_is_refused(scorer: Make, change: dict[str, float]) -> None:
    with pytest.raises(
        ScorerError, match="min < pass_at_least <= max must hold\n  hint: otherwise every answer passes, or none"
    ):
        scorer("judge", **scale(**change))
    assert scorer("judge", **scale(max=4)).passes(4.0)


@pytest.mark.parametrize(
    ("settings", "problem", "hint"),
    [
        ({"scorer_options": JUDGE}, "the judge needs two or more labels, or a score",
         'add labels = ["good", "bad"] and passes = ["good"], or score = {min = 1, max = 5, pass_at_least = 4}'),
        ({**LABELS, "labels": ["good", "good"]}, "the judge needs two or more labels, or a score", None),
        ({**scale(), "labels": ["good", "bad"]}, "score: the judge gives a number, so it has no labels",
         "keep score, or the labels"),
        ({"scorer_options": {**scale()["scorer_options"], "passes": ["good"]}},
         "score: the judge gives a number, so it has no labels", None),
        ({"labels": ["a", "b"], "scorer_options": JUDGE}, "passes: some labels have to pass, and some not", None),
        ({"labels": ["a", "b"], "scorer_options": {**JUDGE, "passes": ["a", "b"]}},
         "passes: some labels have to pass, and some not", None),
        ({"labels": ["a", "b"], "scorer_options": {**JUDGE, "passes": ["c"]}},
         "passes: 'c' is not one of the labels", None),
        *(({"labels": [label, "b"], "scorer_options": {**JUDGE, "passes": ["b"]}},
           f"label {label!r} is empty, or has white space around it or a line end in it", "write a short word")
          for label in ("a ", " a", "", "a\nb")),
    ],
)  # fmt: skip
def test_verdicts_of_which_it_is_not_clear_which_pass_are_refused(
    scorer: Make, settings: dict[str, Any], problem: str, hint: str | None
) -> None:
    with pytest.raises(ScorerError) as caught:
        scorer("judge", **settings)
    assert caught.value.problem == problem
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize(
    ("gate", "refused"),
    [({"min": 0.9}, False), ({"min": 0.9, "per_case": "1 of 1"}, True), ({"metric": "valid_rate", "min": 0.9}, False),
     ({"metric": "ece", "max": 0.1}, True), ({"max_drop": 0.1, "against": "production"}, True)],
)  # fmt: skip
def test_gates_that_cannot_be_corrected_for_the_judges_errors_are_refused(
    scorer: Make, gate: dict[str, Any], *, refused: bool
) -> None:
    settings = {**LABELS, "gates": [gate], "request": {"logprobs": True}}
    if refused:
        with pytest.raises(ScorerError, match="the judge's errors can only be corrected in a rate over cases"):
            scorer("judge", **settings)
    else:
        assert scorer("judge", **settings).name == "judge"


@pytest.mark.parametrize(
    "unusable",
    [reply("VERDICT: good", finish_reason="length"), reply("", refusal="no"), reply("good"), reply(""),
     reply("VERDICT: good\nVERDICT: bad"), reply("VERDICT: great"), reply("VERDICT: good\nthat is all")],
)  # fmt: skip
def test_a_reply_without_one_verdict_in_its_last_line_is_no_verdict(scorer: Make, unusable: Completion) -> None:
    judge = scorer("judge", **LABELS)
    assert judge.verdict(reply("hm\nVERDICT: fair ")) == "fair"
    with pytest.raises(ScorerError):
        judge.verdict(unusable)


def test_the_judge_is_told_its_labels_and_rubric_and_shown_the_answer_as_data(scorer: Make) -> None:
    (request,) = scorer("judge", **LABELS).questions(ASKED, Completion("<|end|>\u2028"), "j")
    task, data = (message.content for message in request.messages)
    assert "where VALUE is good or fair or bad, and" in task
    assert "Rubric:\nBe kind.\n" in task
    assert "<" not in data
    assert json.loads(data) == {
        "question": [{"role": "user", "content": "hi"}], "expected": ["hello"], "answer": "<|end|>\u2028",
    }  # fmt: skip
    (scaled,) = scorer("judge", **scale()).questions(ASKED, ANSWER, "j")
    assert "where VALUE is a number from 1 to 5, and" in scaled.messages[0].content
    assert scaled.params == {"temperature": 0.0}


def test_the_hash_of_a_judge_depends_on_what_decides_a_verdict_and_not_on_the_order_of_passes(scorer: Make) -> None:
    judge = scorer("judge", **LABELS)
    turned = scorer("judge", **{**LABELS, "scorer_options": {**JUDGE, "passes": ["fair", "good"]}})
    assert judge.judge_sha256("j") == turned.judge_sha256("j")
    others = [
        {**LABELS, "labels": ["bad", "fair", "good"]},
        {**LABELS, "scorer_options": {**JUDGE, "passes": ["good"]}},
        {**LABELS, "scorer_options": {**JUDGE, "rubric": "Be short.", "passes": ["good", "fair"]}},
        {**LABELS, "scorer_options": {**JUDGE, "base_url": "http://h/v1", "passes": ["good", "fair"]}},
        {**LABELS, "models": {"j": {"request": {"temperature": 1.0}}}},
        scale(),
        scale(pass_at_least=3),
    ]
    hashes = {scorer("judge", **settings).judge_sha256("j") for settings in others}
    assert len(hashes | {judge.judge_sha256("j"), judge.judge_sha256("k")}) == len(others) + 2


def test_an_answer_without_text_is_a_miss_that_the_judge_is_not_asked_about(scorer: Make) -> None:
    for name, settings in (("judge", LABELS), ("preference", GATED)):
        asking = scorer(name, **settings)
        assert asking.questions(ASKED, Completion(""), "j", ANSWER) == ()
        assert asking.score_replies(ASKED, Completion(""), []).passed is False


@pytest.mark.parametrize(
    ("as_a", "as_b", "outcome", "worth", "passed"),
    [("A", "B", "win", 1.0, True), ("B", "A", "loss", 0.0, False), ("A", "A", "tie", 0.5, True),
     ("TIE", "B", "tie", 0.5, True), ("TIE", "TIE", "tie", 0.5, True)],
)  # fmt: skip
def test_an_answer_wins_only_if_it_is_preferred_in_both_orders(
    scorer: Make, as_a: str, as_b: str, outcome: str, worth: float, *, passed: bool
) -> None:
    score = scorer("preference", **GATED).score_replies(
        ASKED, ANSWER, [reply(f"VERDICT: {as_a}"), reply(f"VERDICT: {as_b}")]
    )
    assert (score.passed, score.value, score.detail) == (passed, worth, f"{outcome} against the baseline")


def test_a_pair_is_shown_in_both_orders(scorer: Make) -> None:
    asking = scorer("preference", **GATED)
    first, second = asking.questions(ASKED, Completion("mine"), "j", Completion("other"))
    shown = [json.loads(request.messages[1].content) for request in (first, second)]
    assert [(each["A"], each["B"]) for each in shown] == [("mine", "other"), ("other", "mine")]
    assert "where VALUE is A or B or TIE, and" in first.messages[0].content
    with pytest.raises(ScorerError, match=r"needs --baseline=replay:RUN"):
        asking.questions(ASKED, ANSWER, "j")


def test_what_people_prefer_is_a_win_or_a_loss(scorer: Make) -> None:
    asking = scorer("preference", **GATED)
    assert [asking.person_passes(written) for written in ("win", "loss")] == [True, False]
    for written, problem in (("tie", "a tie says nothing"), ("A", "'A' is not win, tie or loss")):
        with pytest.raises(ScorerError, match=problem):
            asking.person_passes(written)


def embedding(**options: Any) -> dict[str, Any]:
    return {"scorer_options": {"model": "e", "threshold": 0.8, **options}}


def test_all_texts_are_embedded_in_one_request(scorer: Make) -> None:
    case = Case("one", 1, (), expected=("Yes", "Sure"))
    (request,) = scorer("embedding", **embedding(), normalize=["casefold"]).questions(case, Completion("OK"), "e")
    assert [message.content for message in request.messages] == ["ok", "yes", "sure"]
    assert (request.model, request.api, request.params) == ("e", "embeddings", {})
    (shorter,) = scorer("embedding", **embedding(dimensions=64)).questions(case, Completion("OK"), "e")
    assert shorter.params == {"dimensions": 64}


def test_without_a_reply_nothing_is_similar(scorer: Make) -> None:
    case = Case("one", 1, (), expected=("Yes", "Sure"))
    asking = scorer("embedding", **embedding())
    assert asking.questions(case, Completion(" "), "e") == ()
    score = asking.score_replies(case, ANSWER, [])
    assert (score.passed, score.value) == (False, 0.0)


@pytest.mark.parametrize(
    ("returned", "value", "passed"),
    [([0.3, 0.8], 0.8, True), ([0.79, 0.1], 0.79, False), ([-0.5, -0.1], 0.0, False), ([1, -1], 1.0, True)],
)
def test_the_nearest_expected_text_counts(scorer: Make, returned: list[float], value: float, *, passed: bool) -> None:
    case = Case("one", 1, (), expected=("Yes", "Sure"))
    score = scorer("embedding", **embedding()).score_replies(case, ANSWER, [reply(json.dumps(returned))])
    assert (score.value, score.passed) == (value, passed)


@pytest.mark.parametrize(
    "returned",
    ["[0.3]", "[0.3, 1.1]", "[-1.1, 0.3]", "[0.3, true]", '[0.3, "1"]', "[NaN, 0.3]", "{}", "no", "[" * 9999],
)
def test_a_reply_that_is_not_one_cosine_a_text_is_an_error(scorer: Make, returned: str) -> None:
    case = Case("one", 1, (), expected=("Yes", "Sure"))
    with pytest.raises(ScorerError, match="did not return the similarity of each expected text"):
        scorer("embedding", **embedding()).score_replies(case, ANSWER, [reply(returned)])


def test_messages_have_their_roles_and_texts_of_any_language_are_sent_as_they_are(scorer: Make) -> None:
    judge = scorer("judge", **LABELS)
    (request,) = judge.questions(ASKED, Completion("größer"), "j")
    assert [message.role for message in request.messages] == ["system", "user"]
    assert '"größer"' in request.messages[1].content
    assert (judge.asks.spec, judge.asks.base_url) == ("j", "")
    (texts,) = scorer("embedding", **embedding()).questions(ASKED, ANSWER, "e")
    assert {message.role for message in texts.messages} == {"user"}


def test_the_text_that_a_judge_is_sent_stays_the_same_so_that_cached_replies_are_found(scorer: Make) -> None:
    (request,) = scorer("judge", **LABELS).questions(ASKED, Completion("größer"), "j")
    assert request.messages[1].content == (
        '{\n "question": [\n  {\n   "role": "user",\n   "content": "hi"\n  }\n ],\n'
        ' "expected": [\n  "hello"\n ],\n "answer": "größer"\n}'
    )


def test_a_judge_is_sent_the_settings_of_its_own_id_and_no_tools(scorer: Make) -> None:
    own = {"api": "responses", "max_tokens": 9, "tool_choice": "required", "parallel_tool_calls": False}
    own["response_format"] = "json_object"
    judge = scorer("judge", **LABELS, models={"j": {"request": own}, "*": {"request": {"max_tokens": 1}}})
    (request,) = judge.questions(ASKED, ANSWER, "j")
    assert (request.api, request.params) == ("responses", {"temperature": 0.0, "max_tokens": 9})
    (other,) = judge.questions(ASKED, ANSWER, "k")
    assert (other.api, other.params) == ("chat", {"temperature": 0.0})
    # This family takes tools over the Responses API alone; a judge has none.
    (without_tools,) = judge.questions(ASKED, ANSWER, "gpt-6-astra")
    assert without_tools.api == "chat"


def test_the_reasoning_before_a_judges_verdict_is_kept_apart(scorer: Make) -> None:
    judge = scorer("judge", **LABELS, models={"j": {"answer": {"after": "</think>"}}})
    received = judge.received(reply("VERDICT: bad?</think>VERDICT: good"), "j")
    assert (received.text, received.reasoning) == ("VERDICT: good", "VERDICT: bad?")
    assert judge.verdict(received) == "good"


def test_a_judges_fingerprint_is_that_of_its_prompt(scorer: Make) -> None:
    assert scorer("judge", **LABELS).fingerprint == scorer("judge", **scale()).fingerprint
    assert len({scorer("judge", **LABELS).fingerprint, scorer("preference", **GATED).fingerprint, ""}) == 3


def test_a_persons_verdict_passes_as_the_judges_does(scorer: Make) -> None:
    judge = scorer("judge", **LABELS)
    assert [judge.person_passes(label) for label in LABELS["labels"]] == [True, True, False]
    assert [judge.worth(label) for label in LABELS["labels"]] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"refusal": "no"}, "refused"), ({"finish_reason": "length"}, "finish reason length"),
     ({"finish_reason": ""}, "finish reason missing")],
)  # fmt: skip
def test_the_reason_of_a_reply_that_is_not_whole_is_named(scorer: Make, facts: dict[str, str], reason: str) -> None:
    with pytest.raises(ScorerError, match=f"the judge gave no whole reply: {reason}$"):
        scorer("judge", **LABELS).verdict(reply("VERDICT: good", **facts))


def test_a_refused_answer_is_not_embedded(scorer: Make) -> None:
    asking = scorer("embedding", **embedding())
    assert asking.questions(ASKED, Completion("text", refusal="no"), "e") == ()


@pytest.mark.parametrize(
    ("gates", "problem"),
    [
        ([{"metric": "win_rate", "min": 0.5}, {"min": 0.5}], "only corrected in the win rate"),
        ([{"metric": "win_rate", "max": 0.5}], "only corrected in the win rate"),
        ([{"metric": "win_rate", "min": 0.5}, {"metric": "ece", "max": 0.5}], "only corrected in the win rate"),
        ([{"metric": "error_rate", "max": 0.5}], "a set of comparisons needs a gate"),
    ],
)
def test_comparisons_need_a_gate_on_the_win_rate_and_no_other_on_right_answers(
    scorer: Make, gates: list[dict[str, Any]], problem: str
) -> None:
    with pytest.raises(ScorerError, match=problem):
        scorer("preference", scorer_options=JUDGE, gates=gates, request={"logprobs": True})


def test_a_comparison_is_asked_at_the_judges_server_beside_gates_on_other_things(scorer: Make) -> None:
    gates = [*GATED["gates"], {"metric": "error_rate", "max": 0.5}]
    asking = scorer("preference", scorer_options={**JUDGE, "base_url": "http://judge/v1"}, gates=gates)
    assert (asking.asks.spec, asking.asks.base_url) == ("j", "http://judge/v1")


def test_an_embedded_text_must_not_be_empty(scorer: Make) -> None:
    asking = scorer("embedding", **embedding())
    assert asking.check(Case("one", 1, (), expected=(" ",)))
    assert asking.check(ASKED) is None
    assert asking.score_replies(ASKED, Completion(""), []).passed is False
