"""Log probabilities of answers: what servers send, and that anything odd makes them unknown and breaks no answer."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from pytest_finetune.base.records import Completion
from pytest_finetune.base.secret_masking import masked_completion
from pytest_finetune.evaluation.targets.chat_completions import read_completion
from pytest_finetune.evaluation.targets.logprobs import answer_logprobs
from pytest_finetune.evaluation.targets.responses_api import read_response
from pytest_finetune.verdicts.evalset.request_form import RequestForm


def token(text: str, logprob: Any = -0.5, **others: Any) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, **others}


def chat(text: str | None, logprobs: Any) -> Completion:
    return read_completion({"choices": [{"message": {"content": text}, "logprobs": logprobs}]})


def test_a_chat_completion_keeps_the_logprobs_of_its_text() -> None:
    found = chat("bug fix", {"content": [token("bug", -0.25), token(" fix", -0.5)], "refusal": None})
    assert found.logprobs == (("bug", -0.25), (" fix", -0.5))
    assert found.probability == pytest.approx(exp(-0.75))


def test_the_end_of_the_text_and_reasoning_do_not_count() -> None:
    tokens = [
        token("<think>"),
        token("bug?"),
        token("</think>"),
        token("\n"),
        token("bug", -0.1),
        token("<|end|>", -2.0),
    ]
    assert chat("bug", {"content": tokens}).logprobs == (("bug", -0.1),)


def test_white_space_around_the_answer_does_not_count() -> None:
    assert answer_logprobs(" bug\n", [token("\n"), token(" bug", -0.1), token("\n", -3)]) == ((" bug", -0.1),)


def test_tokens_that_share_a_character_are_one_piece() -> None:
    half, rest = "🐞".encode()[:2], "🐞".encode()[2:]
    tokens = [token("\\xf0\\x9f", -1, bytes=list(half)), token("\\x90", -0.5, bytes=list(rest)), token("!", -0.1)]
    assert answer_logprobs("🐞!", tokens) == (("🐞", -1.5), ("!", -0.1))
    # Without the bytes the tokens do not spell the answer.
    assert answer_logprobs("🐞!", [token("\ufffd"), token("\ufffd"), token("!")]) == ()


def test_the_form_in_columns_is_read() -> None:
    assert answer_logprobs("bug", {"tokens": ["bug"], "token_logprobs": [-0.5]}) == (("bug", -0.5),)
    assert answer_logprobs("bug", {"tokens": ["bug"], "token_logprobs": []}) == ()


def test_rounding_above_zero_is_zero() -> None:
    assert answer_logprobs("bug", [token("bug", 1e-7)]) == (("bug", 0.0),)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [],
        {},
        "x",
        3,
        {"content": None},
        {"content": "bug"},
        {"content": [None]},
        {"content": [{"logprob": -1}]},
        {"content": [token("bug", None)]},
        {"content": [token("bug", "x")]},
        {"content": [token("bug", logprob=True)]},
        {"content": [token("bug", float("nan"))]},
        {"content": [token("bug", float("-inf"))]},
        {"content": [token("bug", 0.5)]},
        {"content": [token("bug", bytes=[300])]},
        {"content": [token("bug", bytes=["a"])]},
        {"content": [token("\ud800")]},
        {"content": [token("bu")]},
        {"content": [token("other")]},
    ],
)
def test_odd_logprobs_are_unknown_and_the_answer_is_read(logprobs: Any) -> None:
    found = chat("bug", logprobs)
    assert (found.text, found.logprobs, found.probability) == ("bug", (), None)


def test_an_answer_without_text_has_no_probability() -> None:
    assert chat(None, {"content": [token("")]}).probability is None


def test_a_response_keeps_the_logprobs_of_its_output_text() -> None:
    parts = [{"type": "output_text", "text": "bug", "logprobs": [token("b", -0.1), token("ug", -0.2)]}]
    found = read_response({"status": "completed", "output": [{"type": "message", "content": parts}]})
    assert found.logprobs == (("b", -0.1), ("ug", -0.2))


def test_an_answer_after_a_marker_has_its_own_probability() -> None:
    completion = Completion("so</think>\n\nbug", logprobs=(("so", -1.0), ("</think>\n\n", -2.0), ("bug", -0.1)))
    assert RequestForm(after="</think>").answer(completion).logprobs == (("bug", -0.1),)
    assert RequestForm(after="ANSWER:").answer(completion).logprobs == ()


def test_pieces_of_a_key_are_not_kept() -> None:
    key = "sk-0123456789abcdef0123"
    completion = Completion(f"it is {key}", logprobs=(("it is ", -1.0), (key[:9], -1.0), (key[9:], -1.0)))
    assert masked_completion(completion, key).logprobs == ()
