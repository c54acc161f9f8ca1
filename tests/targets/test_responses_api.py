"""The Responses API: what is sent, and how responses are read."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import Reply, ScriptedServer, error

from pytest_finetune.base.records import Completion, Failure, Message, Request, ToolCall, Usage
from pytest_finetune.evaluation.targets import OpenAITarget
from pytest_finetune.evaluation.targets.answers import read_http_answer
from pytest_finetune.evaluation.targets.request_body import encode
from pytest_finetune.evaluation.targets.retry import Backoff

TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "slots", "strict": True, "schema": {"type": "object"}}}
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 70,
    "output_tokens_details": {"reasoning_tokens": 64},
}


def body(*messages: Message, **params: Any) -> dict[str, Any]:
    encoded = encode(Request("m", messages or (Message("user", "hi"),), params, api="responses"))
    assert isinstance(encoded, bytes), encoded
    sent: dict[str, Any] = json.loads(encoded)
    return sent


def message(*parts: str, **keys: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": part, "annotations": []} for part in parts]
    return {"type": "message", "role": "assistant", "content": content, **keys}


def text(*parts: str, status: str = "completed", **top: Any) -> dict[str, Any]:
    output = [message(*parts)] if parts else []
    return {"object": "response", "model": "m", "status": status, "error": None, "output": output, **top}


def ask(server: ScriptedServer) -> Completion | Failure:
    target = OpenAITarget("m", base_url=server.url, environ={})
    target._persistence.backoff = Backoff(random.Random(0), first=0.0)

    async def run() -> Completion | Failure:
        await target.open()
        try:
            return await target.ask(Request("m", (Message("user", "hi"),), api="responses"), 10.0)
        finally:
            await target.close()

    return asyncio.run(run())


def read(value: Any, status: int = 200) -> Completion | Failure:
    return read_http_answer(status, {}, json.dumps(value).encode(), api="responses")


def test_a_request_has_its_messages_as_input_and_is_not_stored() -> None:
    assert body(Message("system", "Sort."), Message("user", "hi"), temperature=0.0) == {
        "model": "m",
        "input": [{"role": "system", "content": "Sort."}, {"role": "user", "content": "hi"}],
        "store": False,
        "stream": False,
        "temperature": 0.0,
    }


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"max_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_output_tokens": 5}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
            {"reasoning": {"summary": "auto", "effort": "low"}},
        ),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": FORMAT}, {"text": {"format": {"type": "json_schema", **FORMAT["json_schema"]}}}),
        (
            {"tools": [TOOL]},
            {"tools": [{"type": "function", "strict": False, "name": "find", "parameters": {"type": "object"}}]},
        ),
        ({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "find"}}},
            {"tool_choice": {"type": "function", "name": "find"}},
        ),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"logprobs": True, "top_logprobs": 2}, {"top_logprobs": 2, "include": ["message.output_text.logprobs"]}),
        ({"service_tier": "flex", "top_k": 1}, {"service_tier": "flex", "top_k": 1}),
    ],
)
def test_parameters_have_the_names_and_places_of_this_api(params: dict[str, Any], sent: dict[str, Any]) -> None:
    found = body(**params)
    assert {name: value for name, value in found.items() if name not in ("model", "input", "store", "stream")} == sent


def test_tool_calls_and_their_results_are_items() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    messages = (
        Message("user", "hi"),
        Message("assistant", None, {"tool_calls": [call]}),
        Message("tool", "found", {"tool_call_id": "c1"}),
        Message("assistant", [{"type": "text", "text": "Here."}]),
    )
    assert body(*messages)["input"] == [
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "found"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Here."}]},
    ]


def test_pictures_and_files_are_sent_as_input_parts() -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
        {"type": "file", "file": {"file_id": "f1"}},
    ]
    assert body(Message("user", parts))["input"][0]["content"] == [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "data:x", "detail": "low"},
        {"type": "input_file", "file_id": "f1"},
    ]


def test_a_part_that_this_api_does_not_have_is_a_failure() -> None:
    message = Message("user", [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])
    outcome = encode(Request("m", (message,), api="responses"))
    assert isinstance(outcome, Failure)
    assert outcome.kind == "bad_request"
    assert "input_audio" in outcome.message


def test_text_reasoning_and_tokens_are_read() -> None:
    reasoning = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
        "content": [],
    }
    value = text("bu", "g", usage=USAGE)
    value["output"].insert(0, reasoning)
    assert read(value) == Completion(
        "bug", model="m", usage=Usage(20, 70, 5, 64), reasoning="First.\n\nThen.", finish_reason="stop"
    )


def test_tool_calls_are_read() -> None:
    calls = [
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"},
    ]
    outcome = read(text() | {"output": calls})
    assert isinstance(outcome, Completion)
    assert outcome.tool_calls == (ToolCall("find", '{"a":1}'), ToolCall("run", "ls"))
    assert outcome.finish_reason == "tool_calls"


def test_a_refusal_is_read() -> None:
    part = {"type": "refusal", "refusal": "No."}
    outcome = read(text() | {"output": [{"type": "message", "content": [part]}]})
    assert isinstance(outcome, Completion)
    assert (outcome.text, outcome.refusal) == ("", "No.")


@pytest.mark.parametrize(
    ("reason", "expected"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_incomplete_response_has_the_finish_reason_of_a_chat_completion(reason: str, expected: str) -> None:
    outcome = read(text("bu", status="incomplete", incomplete_details={"reason": reason}))
    assert isinstance(outcome, Completion)
    assert outcome.finish_reason == expected


def test_what_a_model_says_on_the_way_is_no_answer() -> None:
    value = text("Let me look.") | {"output": [message("Let me look.", phase="commentary"), message("bug")]}
    outcome = read(value)
    assert isinstance(outcome, Completion)
    assert outcome.text == "bug"


def test_a_completed_response_that_names_a_limit_was_cut_off() -> None:
    outcome = read(text("bu", incomplete_details={"reason": "max_output_tokens"}))
    assert isinstance(outcome, Completion)
    assert outcome.finish_reason == "length"


@pytest.mark.parametrize(("state", "kind"), [("incomplete", "finish_reason"), ("in_progress", "server")])
@pytest.mark.parametrize("item", [{"type": "message", "content": []}, {"type": "function_call", "name": "f"}], ids=str)
def test_a_completed_response_with_an_unfinished_part_is_a_failure(state: str, kind: str, item: dict[str, Any]) -> None:
    value = text("bug")
    value["output"].append(item | {"status": state})
    outcome = read(value)
    assert isinstance(outcome, Failure)
    assert outcome.kind == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([], "malformed"),
        ({"object": "response", "status": "completed"}, "malformed"),
        ({"choices": [{"message": {"content": "a chat completion"}}]}, "malformed"),
        (text() | {"output": ["x"]}, "malformed"),
        (text() | {"output": [{"type": "message", "content": "x"}]}, "malformed"),
        (text() | {"output": [{"type": "function_call", "arguments": "{}"}]}, "malformed"),
        (text("a", status="incomplete"), "finish_reason"),
        (text("a", status="new"), "finish_reason"),
        (text("a", status="in_progress"), "server"),
        (text("a", status="failed", incomplete_details={"reason": "max_output_tokens"}), "server"),
        (text(status="failed", error={"code": "server_error", "message": "x"}), "server"),
        (text(status="failed", error={"code": "rate_limit_exceeded", "message": "x"}), "rate_limit"),
    ],
)
def test_an_unfinished_response_is_a_failure(value: Any, kind: str) -> None:
    outcome = read(value)
    assert isinstance(outcome, Failure)
    assert outcome.kind == kind


@pytest.mark.parametrize("usage", [None, {}, {**USAGE, "input_tokens": 0}, {**USAGE, "output_tokens": -1}])
def test_tokens_that_were_not_counted_are_unknown(usage: Any) -> None:
    outcome = read(text("a", usage=usage))
    assert isinstance(outcome, Completion)
    assert outcome.usage is None


def test_requests_go_to_responses_and_are_retried_like_others() -> None:
    replies = [error(500, "busy"), error(429, "slow", retry_after="0.01"), Reply(body=text("bug", usage=USAGE))]
    with Responses(replies=replies) as server:
        outcome = ask(server)
    assert isinstance(outcome, Completion)
    assert (outcome.text, outcome.retries) == ("bug", 2)
    assert {each.path for each in server.requests} == {"/v1/responses"}


def test_a_server_without_this_api_ends_the_run() -> None:
    with ScriptedServer() as server:
        outcome = ask(server)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal) == ("not_found", True)


class Responses(ScriptedServer):
    """Takes its replies whatever the path is."""

    def reply(self, request: Any) -> Reply:
        reply = self.replies.popleft()
        assert isinstance(reply, Reply)
        return reply


@st.composite
def almost_responses(draw: st.DrawFn) -> Any:
    """A good response in which a few places hold anything."""
    call: dict[str, Any] = {"type": "function_call", "name": "f", "arguments": "{}"}
    value = text("x", usage=dict(USAGE), incomplete_details=None)
    value["output"].append(call)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from([value, value["output"][0] if value["output"] else value, call, value["usage"]]))
        place = place if isinstance(place, dict) and place else value
        place[draw(st.sampled_from(list(place)))] = draw(JSON_VALUES)
        value.setdefault("output", [])
        value["output"] = value["output"] if isinstance(value["output"], list) else []
    return value


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([200, 400, 500]), almost_responses())
def test_any_json_is_read_without_raising(status: int, value: Any) -> None:
    outcome = read(value, status)
    if isinstance(outcome, Completion):
        (outcome.text + outcome.reasoning + outcome.refusal + outcome.model).encode()
    else:
        assert outcome.message.isprintable()
