"""The Responses API: requests in its form, and its responses as completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Completion, ToolCall, Usage
from pytest_finetune.evaluation.targets.answer_parts import Malformed, detail, text_of, usage_of
from pytest_finetune.evaluation.targets.logprobs import answer_logprobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_finetune.base.records import Message, Request

# Names and forms: openai.types.responses, openai 3.57.0, and
# https://developers.openai.com/api/docs/guides/migrate-to-responses, read 2026-11-29.
_RENAMED = {"max_completion_tokens": "max_output_tokens", "max_tokens": "max_output_tokens"}
_CALLS = ("function_call", "custom_tool_call")
_ANSWERS = ("message", *_CALLS)
_LOGPROBS = "message.output_text.logprobs"


def responses_body(request: Request) -> dict[str, Any]:
    """
    The body of `POST /responses`; the response is not stored, as chat completions are not.

    Raises:
        ValueError: A part of a message has no counterpart in this API.
    """
    items = [item for message in request.messages for item in _items(message)]
    # transformers serve streams unless the request disables it.
    return {"input": items, "model": request.model, "store": False, "stream": False, **_parameters(request.params)}


def read_response(value: Any) -> Completion:
    """
    The answer in a response.

    Raises:
        Malformed: It is none.
    """
    if not isinstance(value, dict):
        raise Malformed("a body that is not a JSON object")
    output = value.get("output")
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        raise Malformed("a body without output")
    messages = [item for item in output if item.get("type") == "message"]
    parts = [part for item in messages for part in _parts(item.get("content"))]
    # Commentary before a tool call or the final answer is not the answer.
    final = [part for item in messages if item.get("phase") != "commentary" for part in _parts(item.get("content"))]
    calls = tuple(_call(item) for item in output if item.get("type") in _CALLS)
    text = _text_in(final, "output_text", "text")
    return Completion(
        text=text,
        finish_reason=_finish_reason(value, calls=bool(calls)),
        model=text_of(value.get("model"), "model"),
        tool_calls=calls,
        refusal=_text_in(parts, "refusal", "refusal"),
        usage=_usage(value.get("usage"), answered=bool(text or calls)),
        reasoning=_reasoning(output),
        logprobs=answer_logprobs(text, _logprobs(parts)),
    )


def _items(message: Message) -> Iterator[dict[str, Any]]:
    """A chat message as input items: the message, and each tool call by itself."""
    if message.role == "tool":
        call_id = message.extra.get("tool_call_id", "")
        yield {"type": "function_call_output", "call_id": call_id, "output": _content(message, "input_text")}
        return
    if message.content is not None and message.content != "":
        kind = "output_text" if message.role == "assistant" else "input_text"
        yield {"role": message.role, "content": _content(message, kind)}
    for call in message.extra.get("tool_calls", ()):
        function = call["function"]
        names = {"name": function["name"], "arguments": function["arguments"]}
        yield {"type": "function_call", "call_id": call.get("id", ""), **names}


def _content(message: Message, kind: str) -> Any:
    if not isinstance(message.content, list | tuple):
        return message.content
    return [_content_part(part, kind) for part in message.content]


def _content_part(part: Mapping[str, Any], kind: str) -> dict[str, Any]:
    match part.get("type"):
        case "text":
            return {"type": kind, "text": part["text"]}
        case "refusal":
            return {"type": "refusal", "refusal": part["refusal"]}
        case "image_url":
            image = part["image_url"]
            return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail", "auto")}
        case "file":
            return {"type": "input_file", **part["file"]}
        case other:
            raise ValueError(f"the Responses API has no content part like {other!r}")


def _parameters(params: Mapping[str, Any]) -> dict[str, Any]:
    sent = {_RENAMED.get(name, name): value for name, value in params.items() if name not in _TRANSLATED}
    reasoning, text = dict(params.get("reasoning") or {}), dict(params.get("text") or {})
    if "reasoning_effort" in params:
        reasoning["effort"] = params["reasoning_effort"]
    if "verbosity" in params:
        text["verbosity"] = params["verbosity"]
    if chosen := params.get("response_format"):
        text["format"] = {"type": chosen["type"], **chosen["json_schema"]} if "json_schema" in chosen else chosen
    if tools := params.get("tools"):
        sent["tools"] = [_tool(tool) for tool in tools]
    if isinstance(choice := params.get("tool_choice"), dict) and "function" in choice:
        sent["tool_choice"] = {"type": "function", **choice["function"]}
    elif choice:
        sent["tool_choice"] = choice
    if params.get("logprobs"):
        sent["include"] = [*params.get("include", ()), _LOGPROBS]
    tables = {"reasoning": reasoning, "text": text}
    return sent | {name: table for name, table in tables.items() if table}


_TRANSLATED = {
    *("reasoning", "reasoning_effort", "text", "verbosity", "response_format"),
    *("tools", "tool_choice", "logprobs", "include"),
}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool with the keys of its function next to `type`; functions are strict here unless they say otherwise."""
    function = tool.get("function")
    return {"type": "function", "strict": False, **function} if isinstance(function, dict) else dict(tool)


def _parts(content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise Malformed("a message whose content is not a list of objects")
    return content


def _text_in(parts: list[dict[str, Any]], kind: str, key: str) -> str:
    return "".join(text_of(part.get(key), key) for part in parts if part.get("type") == kind)


def _logprobs(parts: list[dict[str, Any]]) -> list[Any]:
    lists = (part.get("logprobs") for part in parts if part.get("type") == "output_text")
    return [token for each in lists if isinstance(each, list) for token in each]


def _call(item: dict[str, Any]) -> ToolCall:
    if not isinstance(item.get("name"), str):
        raise Malformed("a tool call without a name")
    key = "input" if item["type"] == "custom_tool_call" else "arguments"
    return ToolCall(text_of(item["name"], "name"), text_of(item.get(key), key))


def _reasoning(output: list[dict[str, Any]]) -> str:
    """The reasoning, or the summary of it that OpenAI returns on request."""
    items = [item for item in output if item.get("type") == "reasoning"]
    lists = [item.get(key) for item in items for key in ("content", "summary")]
    parts = [part for each in lists if isinstance(each, list) for part in each if isinstance(part, dict)]
    return "\n\n".join(text for part in parts if (text := text_of(part.get("text"), "reasoning")))


def _finish_reason(value: dict[str, Any], *, calls: bool) -> str:
    """The finish reason of a chat completion that ended like this response."""
    status, details = text_of(value.get("status"), "status"), value.get("incomplete_details")
    if status not in ("completed", "incomplete"):
        return status
    if isinstance(details, dict) and (reason := text_of(details.get("reason"), "reason")):
        return reason
    # Some servers call a response completed whose parts are not.
    states = [item.get("status") for item in value["output"] if item.get("type") in _ANSWERS]
    if unfinished := next((state for state in ("incomplete", "in_progress") if state in states), ""):
        return unfinished
    return "tool_calls" if status == "completed" and calls else status


def _usage(value: Any, *, answered: bool) -> Usage | None:
    if not isinstance(value, dict):
        return None
    return usage_of(
        value.get("input_tokens"),
        value.get("output_tokens"),
        cached=detail(value, "input_tokens_details", "cached_tokens"),
        reasoning=detail(value, "output_tokens_details", "reasoning_tokens"),
        answered=answered,
    )
