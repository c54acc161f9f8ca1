"""Reads chat completions, in OpenAI's form and in those of other servers."""

from __future__ import annotations

import json
from typing import Any

from pytest_finetune.base.records import Completion, ToolCall, Usage
from pytest_finetune.evaluation.targets.answer_parts import Malformed, count_of, detail, text_of, usage_of
from pytest_finetune.evaluation.targets.logprobs import answer_logprobs


def read_completion(value: Any) -> Completion:
    """
    The answer in the body of a chat completion.

    Raises:
        Malformed: It is none.
    """
    if not isinstance(value, dict):
        raise Malformed("a body that is not a JSON object")
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Malformed("a body without choices")
    message = choices[0].get("message")
    if message is None and choices[0].get("finish_reason") == "content_filter":
        # Azure leaves out a message that was filtered.
        message = {}
    if not isinstance(message, dict):
        raise Malformed("a choice without a message")
    text, refusal = _content(message.get("content"))
    return Completion(
        text=text,
        finish_reason=text_of(choices[0].get("finish_reason"), "finish_reason"),
        model=text_of(value.get("model"), "model"),
        tool_calls=_tool_calls(message),
        refusal=text_of(message.get("refusal"), "refusal") or refusal,
        reasoning=_reasoning(message),
        usage=_usage(value.get("usage"), answered=bool(text or message.get("tool_calls"))),
        logprobs=answer_logprobs(text, choices[0].get("logprobs")),
    )


def _content(content: Any) -> tuple[str, str]:
    """Text and refusal of a message, whose content is text, null or a list of parts."""
    if not isinstance(content, list):
        return text_of(content, "content"), ""
    if not all(isinstance(part, dict) for part in content):
        raise Malformed("content parts that are not objects")
    texts = [text_of(part.get("text"), "text") for part in content if part.get("type") in ("text", "output_text")]
    refusals = [text_of(part.get("refusal"), "refusal") for part in content if part.get("type") == "refusal"]
    return "".join(texts), "".join(refusals)


def _tool_calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    calls = message.get("tool_calls")
    if not calls:
        legacy = message.get("function_call")
        return (_tool_call(legacy, "arguments"),) if legacy else ()
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise Malformed("tool calls that are not a list of objects")
    return tuple(
        _tool_call(call["custom"], "input") if "custom" in call else _tool_call(call.get("function"), "arguments")
        for call in calls
    )


def _tool_call(function: Any, given: str) -> ToolCall:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Malformed("a tool call without a name")
    arguments = function.get(given)
    # Some servers send the arguments as the object itself.
    written = json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) else arguments
    return ToolCall(text_of(function["name"], "name"), text_of(written, given))


def _reasoning(message: dict[str, Any]) -> str:
    """The reasoning that a server reports apart from the answer: DeepSeek, vLLM and llama.cpp, or OpenRouter's name."""
    found = message.get("reasoning_content") or message.get("reasoning")
    return text_of(found, "reasoning") if isinstance(found, str) else ""


def _usage(value: Any, *, answered: bool) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    reasoning = detail(value, "completion_tokens_details", "reasoning_tokens")
    if reasoning and _sum_of(prompt, completion, reasoning) == value.get("total_tokens"):
        # xAI counts reasoning besides the answer; its total shows that.
        completion = completion + reasoning
    cached = detail(value, "prompt_tokens_details", "cached_tokens")
    return usage_of(prompt, completion, cached=cached, reasoning=reasoning, answered=answered)


def _sum_of(*counts: Any) -> int | None:
    """The sum of token counts; None if one of them is none."""
    known = [count for each in counts if (count := count_of(each)) is not None]
    return sum(known) if len(known) == len(counts) else None
