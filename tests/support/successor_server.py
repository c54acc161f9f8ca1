"""
A server with models of three generations that refuses what OpenAI's documentation says they refuse.

`gpt-6-luna` reasons by default. While it does, it refuses `temperature`, `top_p` and `logprobs`, and tools outside the
Responses API; it never takes `max_tokens`. Source: https://developers.openai.com/api/docs/guides/deployment-checklist,
read 2026-11-29; the words of the refusals are those of the issues quoted in `verdicts/evalset/model_families.py`.
Every other model takes any chat completion, as gpt-4.1-mini and its fine-tunes do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scripted_server import Reply, ScriptedServer, completion, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_server import Received

LUNA = "gpt-6-luna"
EFFORTS = ("none", "low", "medium", "high", "xhigh", "max")
REASONING_TOKENS = 64
LEAST_LIMIT = 16
"""Of the Responses API: https://github.com/vectorize-io/hindsight/issues/58, read 2026-11-29."""

_ONLY_CHAT = ("messages", "seed", "stop", "max_tokens", "max_completion_tokens", "response_format", "reasoning_effort")
_TOOLS = (
    "Function tools with reasoning_effort are not supported for gpt-6-luna in /v1/chat/completions. To use function "
    "tools, use /v1/responses or set reasoning_effort to 'none'."
)


class SuccessorServer(ScriptedServer):
    """
    Answers a question with its own last words, in a tool call if there are tools: `{"text": …}` to the first of them.
    """

    def reply(self, request: Received) -> Reply:
        path = request.path.removeprefix("/v1")
        if path not in ("/chat/completions", "/responses"):
            return super().reply(request)
        problem = next(_refusals(path, request.json), None)
        if problem:
            message, parameter = problem
            return _refusal(message, parameter)
        return Reply(body=_response(request.json)) if path == "/responses" else _chat_reply(request.json)


def effort_of(body: dict[str, Any]) -> str:
    """The effort that a model reasons with; `none` for one that does not reason."""
    if body["model"] != LUNA:
        return "none"
    asked = body.get("reasoning_effort") or (body.get("reasoning") or {}).get("effort")
    return asked or "medium"


def _refusals(path: str, body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if path == "/responses":
        yield from ((f"Unknown parameter: '{name}'.", name) for name in _ONLY_CHAT if name in body)
        if (limit := body.get("max_output_tokens", LEAST_LIMIT)) < LEAST_LIMIT:
            text = "Invalid 'max_output_tokens': integer below minimum value. "
            yield f"{text}Expected a value >= {LEAST_LIMIT}, but got {limit} instead.", "max_output_tokens"
    if body["model"] != LUNA:
        return
    effort = effort_of(body)
    if effort not in EFFORTS:
        yield f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model.", "reasoning_effort"
    if "max_tokens" in body:
        text = "Unsupported parameter: 'max_tokens' is not supported with this model. "
        yield f"{text}Use 'max_completion_tokens' instead.", "max_tokens"
    if effort == "none":
        return
    for name in ("temperature", "top_p", "logprobs", "top_logprobs"):
        if name in body:
            yield f"Unsupported parameter: '{name}' is not supported with this model.", name
    if body.get("tools") and path != "/responses":
        yield _TOOLS, "reasoning_effort"


def _refusal(message: str, parameter: str) -> Reply:
    error = {"message": message, "type": "invalid_request_error", "param": parameter, "code": "unsupported_parameter"}
    return Reply(status=400, body={"error": error})


def _chat_reply(body: dict[str, Any]) -> Reply:
    asked = _text(body["messages"][-1])
    reasoning = 0 if effort_of(body) == "none" else REASONING_TOKENS
    message: dict[str, Any] = {"role": "assistant", "content": asked}
    if body.get("tools"):
        function = {"name": body["tools"][0]["function"]["name"], "arguments": _arguments(asked)}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    reply = Reply(message=message, finish_reason="tool_calls" if body.get("tools") else "stop")
    counted = completion(reply, body)["usage"]
    counted["completion_tokens"] += reasoning
    counted["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return Reply(message=message, finish_reason=reply.finish_reason, usage=counted)


def _response(body: dict[str, Any]) -> dict[str, Any]:
    asked = _text(body["input"][-1])
    reasons = effort_of(body) != "none"
    output: list[dict[str, Any]] = []
    if reasons:
        output.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Thinking."}]})
    if body.get("tools"):
        name = body["tools"][0]["name"]
        output.append({"type": "function_call", "call_id": "call_1", "name": name, "arguments": _arguments(asked)})
    else:
        content = [{"type": "output_text", "text": asked, "annotations": []}]
        output.append({"type": "message", "role": "assistant", "status": "completed", "content": content})
    written = tokens(asked) + REASONING_TOKENS * reasons
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": body["model"],
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": output,
        "usage": {
            "input_tokens": tokens(body["input"]),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS * reasons},
            "total_tokens": tokens(body["input"]) + written,
        },
    }


def _text(item: dict[str, Any]) -> str:
    content = item["output"] if "output" in item else item["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _arguments(text: str) -> str:
    return json.dumps({"text": text}, ensure_ascii=False)
