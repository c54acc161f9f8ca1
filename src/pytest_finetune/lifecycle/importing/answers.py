"""Recorded answers of foreign files as bodies of chat completions, so that they are read as a server's are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.importing.foreign import ForeignCase, NotCarried, RecordedAnswer

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


def text_answer(text: object, *, run: str = "", model: str = "") -> tuple[RecordedAnswer, ...]:
    """One recorded answer of text; none if there is no text."""
    if text is None:
        return ()
    if not isinstance(text, str):
        raise NotCarried("the recorded answer is not text")
    return (RecordedAnswer(run, completion_body({"content": text}, model=model)),)


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
    spoken = [each for each in outputs if isinstance(each, dict) and each.get("role", "assistant") == "assistant"]
    if not spoken:
        return broken_answer(run, "the file records no answer", passed=passed)
    usage = sample.get("usage") if "usage" in sample else sample.get("token_usage")
    body = completion_body(
        spoken[-1], model=sample.get("model") or model, reason=sample.get("finish_reason"), usage=usage
    )
    return RecordedAnswer(run, body, passed=passed)


def expecting_recorded(
    line: int, messages: Sequence[Mapping[str, Any]], answer: RecordedAnswer, extra: Mapping[str, Any]
) -> ForeignCase:
    """
    A case that expects the recorded answer.

    Raises:
        NotCarried: The answer is an error, is empty, or was not finished.
    """
    choice = (answer.body.get("choices") or [{}])[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if answer.status >= 300 or not isinstance(message, dict):  # noqa: PLR2004 - as HTTP has it
        raise NotCarried("no answer is recorded that could be expected")
    if choice.get("finish_reason") in ("length", "content_filter"):
        raise NotCarried(f"the recorded answer ended with {choice['finish_reason']!r}, and cannot be expected")
    expected = {key: message[key] for key in ("content", "tool_calls") if message.get(key)}
    if not expected:
        raise NotCarried("the recorded answer is empty, and cannot be expected")
    return ForeignCase(line, {**extra, "messages": [*messages, {"role": "assistant", **expected}]}, (answer,))


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
