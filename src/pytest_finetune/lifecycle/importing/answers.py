"""Recorded answers of foreign files as bodies of chat completions, so that they are read as a server's are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.evaluation.targets.finish_reasons import known_reason
from pytest_finetune.lifecycle.importing.foreign import NotCarried, RecordedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BROKEN = 500
_ANSWER_KEYS = ("content", "tool_calls", "refusal")


def completion_body(
    message: Mapping[str, Any], *, model: object = "", reason: object = None, usage: object = None
) -> dict[str, Any]:
    """The body of a chat completion with one answer."""
    answer = {"role": "assistant", **{key: message[key] for key in _ANSWER_KEYS if message.get(key) is not None}}
    named = {"model": model} if isinstance(model, str) else {}
    return {"choices": [{"message": answer, "finish_reason": reason or "stop"}], "usage": usage, **named}


def text_answer(text: object) -> tuple[RecordedAnswer, ...]:
    """One recorded answer of text, or of JSON as its text; none if there is none."""
    if text is None:
        return ()
    content = text if isinstance(text, str) else compact_json(text)
    return (RecordedAnswer("", completion_body({"content": content})),)


def broken_answer(run: str, error: object, *, passed: bool | None = None) -> RecordedAnswer:
    """A request that got no answer."""
    return RecordedAnswer(
        run, {"error": error if isinstance(error, dict) else {"message": str(error)}}, _BROKEN, passed
    )


def sample_answer(
    run: str, sample: Mapping[str, Any], *, model: object = "", passed: bool | None = None
) -> RecordedAnswer:
    """
    The answer in a `sample` of OpenAI's Evals API, or of its dashboard, whose keys differ.

    `"error": null` is no error, and so is an error without a message.
    """
    error = sample.get("error")
    if error and (not isinstance(error, dict) or error.get("message") or error.get("code")):
        return broken_answer(run, error, passed=passed)
    given = sample.get("output") if "output" in sample else sample.get("outputs")
    outputs = given if isinstance(given, list) else []
    replies = [each for each in outputs if isinstance(each, dict) and each.get("role", "assistant") == "assistant"]
    if not replies:
        return broken_answer(run, "the file records no answer", passed=passed)
    usage = sample.get("usage") if "usage" in sample else sample.get("token_usage")
    body = completion_body(
        replies[-1], model=sample.get("model") or model, reason=sample.get("finish_reason"), usage=usage
    )
    return RecordedAnswer(run, body, passed=passed)


def expecting_recorded(case: Mapping[str, Any], answers: Sequence[RecordedAnswer]) -> dict[str, Any]:
    """
    A case that expects its recorded answer.

    Args:
        case: The line of the eval set; its `input` is text or messages.
        answers: What was recorded for it.

    Raises:
        NotCarried: There is not one answer, or it is an error, is empty, or was not finished.
    """
    if len(answers) > 1:
        raise NotCarried(f"it has {len(answers)} recorded answers: name the one that is expected with --expected")
    choice = (answers[0].body.get("choices") or [{}])[0] if answers else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not answers or answers[0].status >= 300 or not isinstance(message, dict):  # noqa: PLR2004 - as HTTP has it
        raise NotCarried("no answer is recorded that could be expected")
    reason = choice.get("finish_reason") if isinstance(choice, dict) else None
    if reason and known_reason(str(reason)) not in ("stop", "tool_calls"):
        raise NotCarried(f"the recorded answer ended with {reason!r}, and cannot be expected")
    expected = {key: message[key] for key in ("content", "tool_calls") if message.get(key)}
    if not expected:
        raise NotCarried("the recorded answer is empty, and cannot be expected")
    given = case["input"]
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else given
    others = {key: value for key, value in case.items() if key not in ("input", "expected")}
    return {**others, "messages": [*messages, {"role": "assistant", **expected}]}


def plain_messages(messages: object) -> list[dict[str, Any]]:
    """
    The messages of a prompt, with the keys that are sent.

    Raises:
        NotCarried: They are not a list of messages.
    """
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise NotCarried("the messages are not a list of messages")
    sent = ("role", "content", "name", "tool_calls", "tool_call_id")
    return [{key: each[key] for key in sent if each.get(key) is not None} for each in messages]
