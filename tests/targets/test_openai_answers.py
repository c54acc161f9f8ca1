"""From status, headers and bytes to a Completion or a Failure, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.records import Completion, Failure, ToolCall, Usage
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.answers import MAX_BODY, read_http_answer


def read(body: Any, status: int = 200, secret: str = "", **headers: str) -> Completion | Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_http_answer(status, headers, data, secret=secret)


def answer(message: Any, **top: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": "stop"}], "model": "m", **top}


def completion(body: Any) -> Completion:
    outcome = read(body)
    assert isinstance(outcome, Completion), outcome
    return outcome


def failure(body: Any, status: int = 200, secret: str = "", **headers: str) -> Failure:
    outcome = read(body, status, secret, **headers)
    assert isinstance(outcome, Failure), outcome
    return outcome


@pytest.mark.parametrize(
    ("status", "kind", "fatal"),
    [
        (400, "bad_request", False),
        (401, "auth", True),
        (402, "quota", True),
        (403, "auth", True),
        (404, "not_found", True),
        (408, "server", False),
        (409, "server", False),
        (413, "bad_request", False),
        (422, "bad_request", False),
        (425, "server", False),
        (429, "rate_limit", False),
        (500, "server", False),
        (529, "server", False),
    ],
)
def test_without_a_known_code_the_status_decides(status: int, kind: str, fatal: bool) -> None:  # noqa: FBT001
    outcome = failure({"error": {"message": "why", "type": "invalid_request_error", "code": None}}, status)
    assert (outcome.kind, outcome.fatal, outcome.status) == (kind, fatal, status)
    assert outcome.message == f"HTTP {status}: why"


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_quota", "quota"),
        ("billing_hard_limit_reached", "quota"),
        ("billing_not_active", "quota"),
        ("billing_error", "quota"),
        ("invalid_api_key", "auth"),
        ("model_not_found", "not_found"),
        ("DeploymentNotFound", "not_found"),
    ],
)
def test_a_decisive_code_wins_over_any_status(status: int, code: str, kind: str) -> None:
    by_code = failure({"error": {"message": "x", "code": code}}, status)
    by_type = failure({"error": {"message": "x", "type": code, "code": None}}, status)
    assert (by_code.kind, by_code.fatal) == (by_type.kind, by_type.fatal) == (kind, True)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "x", "code": "rate_limit_exceeded"}, "rate_limit"),
        ({"message": "x", "type": "server_error"}, "server"),
        ({"message": "x", "code": 502}, "server"),
        ({"message": "x", "code": 429}, "rate_limit"),
        ({"message": "x", "code": 402}, "quota"),
        ({"message": "x"}, "malformed"),
        ("something broke", "malformed"),
    ],
)
def test_an_error_inside_a_200_is_classified_by_its_own_code(error: Any, kind: str) -> None:
    assert failure({"error": error}).kind == kind
    assert (
        failure({"choices": [{"error": error, "message": {"content": "half"}, "finish_reason": "error"}]}).kind == kind
    )


def test_a_null_error_next_to_an_answer_is_not_an_error() -> None:
    assert completion(answer({"content": "bug"}, error=None)).text == "bug"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "m"}}, "m"),
        ({"error": "m"}, "m"),
        ({"message": "m"}, "m"),
        ({"detail": "m"}, "m"),
        ({"detail": [{"loc": ["body"]}]}, '[{"loc": ["body"]}]'),
        (b"plain words", "plain words"),
        (b"<!DOCTYPE html><p>x", "an HTML page, not an API; is the base URL right?"),
    ],
)
def test_the_message_is_found_in_any_servers_shape(body: Any, message: str) -> None:
    assert failure(body, 400).message == f"HTTP 400: {message}"


def test_an_error_without_a_body_is_described_by_its_status() -> None:
    assert failure(b"", 503).message == "HTTP 503"


def test_a_redirect_names_the_host_only() -> None:
    outcome = failure(b"", 302, location="https://user:pw@login.example/path?token=1")
    assert outcome.fatal
    assert "login.example" in outcome.message
    assert "pw" not in outcome.message
    assert "token" not in outcome.message


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"<html>", "not a JSON object"),
        (b'{"choices":', "not a JSON object"),
        (b"\xff\xfe\xfd", "not a JSON object"),
        (b"[" * 200_000, "not a JSON object"),
        (b'{"x":' + b"9" * 10_000 + b"}", "not a JSON object"),
        ([], "not a JSON object"),
        ({}, "without choices"),
        ({"choices": []}, "without choices"),
        ({"choices": {"0": 1}}, "without choices"),
        ({"choices": [None]}, "without choices"),
        ({"choices": [{"text": "old completions"}]}, "without a message"),
        (answer({"content": 5}), "content that is not text"),
        (answer({"content": ["x"]}), "content parts"),
        (answer({"content": "x", "refusal": []}), "refusal that is not text"),
        (answer({"tool_calls": {"name": "f"}}), "tool calls"),
        (answer({"tool_calls": [{"function": {"arguments": "{}"}}]}), "without a name"),
        (answer({"tool_calls": [{"function": {"name": "f", "arguments": 5}}]}), "arguments that is not text"),
        (answer({"content": "x"}, model=5), "model that is not text"),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": 5}]}, "finish_reason that is not text"),
        (b" " * (MAX_BODY + 1), "more than 16 MiB"),
    ],
)
def test_a_body_that_is_not_a_completion_is_malformed_with_a_reason(body: Any, problem: str) -> None:
    outcome = failure(body)
    assert (outcome.kind, outcome.fatal, outcome.status) == ("malformed", False, 200)
    assert problem in outcome.message


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("bug", "bug"),
        ("", ""),
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, {"type": "image"}], "ab"),
        ([], ""),
    ],
)
def test_content_is_text_null_or_parts(content: Any, text: str) -> None:
    assert completion(answer({"content": content})).text == text


def test_a_refusal_may_be_a_part() -> None:
    assert completion(answer({"content": [{"type": "refusal", "refusal": "no"}]})).refusal == "no"


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": '{"a": "é"}'}}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": {"a": "é"}}}]},
        {"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": '{"a": "é"}'}}]},
        {"function_call": {"name": "f", "arguments": '{"a": "é"}'}},
        {"tool_calls": [], "function_call": {"name": "f", "arguments": '{"a": "é"}'}},
    ],
)
def test_tool_calls_are_read_in_every_dialect(message: Any) -> None:
    assert completion(answer(message)).tool_calls == (ToolCall("f", '{"a": "é"}'),)


def test_a_missing_finish_reason_is_not_made_up() -> None:
    assert completion({"choices": [{"message": {"content": "x"}}]}).finish_reason == ""


@pytest.mark.parametrize(
    ("usage", "read_as"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, Usage(9, 2, 0)),
        ({"prompt_tokens": 9.0, "completion_tokens": 2.0, "prompt_tokens_details": None}, Usage(9, 2, 0)),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": None}},
            Usage(9, 1, 0),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 99}}, Usage(9, 2, 9)),
        ({"prompt_tokens": None, "completion_tokens": 2}, None),
        ({"prompt_tokens": 9}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": 9, "completion_tokens": 0}, None),
        ({"prompt_tokens": 10**400, "completion_tokens": 1}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({"prompt_tokens": float("nan"), "completion_tokens": 2}, None),
        (None, None),
        ([], None),
    ],
)
def test_tokens_are_counted_or_unknown_and_never_guessed(usage: Any, read_as: Usage | None) -> None:
    assert completion(answer({"content": "x"}, usage=usage)).usage == read_as


def test_lone_surrogates_become_replacement_characters_and_pairs_stay() -> None:
    body = rb'{"choices":[{"message":{"content":"a\ud800b\ud83d\ude00\udc00"},"finish_reason":"stop"}]}'
    assert completion(body).text == "a\ufffdb\U0001f600\ufffd"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\nb\x1b[31mc\u202ed", "a b [31mc d"),
        ("x" * 400, "x" * 299 + "…"),
        ("key sk-proj-abc_DEF-123 end", "key sk-[API key] end"),
        ("Incorrect API key provided: sk-abc***********xyz.", "Incorrect API key provided: sk-[API key]."),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [API key]"),
        ("the task-force", "the task-force"),
        ("my hush my", "my [API key] my"),
    ],
)
def test_a_message_is_one_short_printable_line_without_keys(text: str, cleaned: str) -> None:
    assert error_line(text, "hush") == cleaned


def test_a_key_on_the_edge_of_the_excerpt_is_masked_before_it_is_cut() -> None:
    secret = "abcdefghijklmnop"
    for before in range(270, 310):
        outcome = failure(b"x" * before + secret.encode(), 500, secret)
        assert "abcd" not in outcome.message


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.integers(100, 999), st.binary(max_size=200), st.sampled_from(["", "text/html"]))
def test_any_bytes_are_read_without_raising(status: int, body: bytes, kind: str) -> None:
    outcome = read_http_answer(status, {"content-type": kind, "location": body.decode("latin-1")}, body)
    if isinstance(outcome, Failure):
        assert outcome.message.isprintable()
        assert 0 < len(outcome.message) <= 300


@st.composite
def almost_completions(draw: st.DrawFn) -> Any:
    """A valid answer in which a few values are replaced by any JSON."""
    function = {"name": "f", "arguments": "{}"}
    message: dict[str, Any] = {"content": "x", "refusal": None, "tool_calls": [{"function": function}]}
    choice = {"message": message, "finish_reason": "stop"}
    usage: dict[str, Any] = {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}
    body = {"choices": [choice], "usage": usage, "model": "m"}
    for _ in range(draw(st.integers(1, 2))):
        place: dict[str, Any] = draw(st.sampled_from([body, choice, message, usage, function]))
        place[draw(st.sampled_from([*place, "error", "function_call"]))] = draw(JSON_VALUES)
    return body


@given(st.sampled_from([200, 429, 500]), almost_completions())
def test_any_json_is_read_without_raising_and_the_result_can_be_serialized(status: int, body: Any) -> None:
    outcome = read(json.dumps(body).encode(), status)
    if isinstance(outcome, Completion):
        called = "".join(call.name + call.arguments for call in outcome.tool_calls)
        (outcome.text + outcome.refusal + outcome.model + outcome.finish_reason + called).encode()
    else:
        assert outcome.message.isprintable()


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        ({"content": "bug", "reasoning_content": "It crashed."}, "It crashed."),
        ({"content": "bug", "reasoning": "It crashed."}, "It crashed."),
        ({"content": "bug", "reasoning_content": None, "reasoning": "It crashed."}, "It crashed."),
        ({"content": "<think>It crashed.</think>bug"}, ""),
        ({"content": "bug", "reasoning": {"tokens": 3}}, ""),
    ],
)
def test_reasoning_is_read_where_the_server_keeps_it_apart(message: Any, reasoning: str) -> None:
    found = completion(answer(message))
    assert (found.text, found.reasoning) == (message["content"], reasoning)


def test_the_key_is_masked_in_the_reasoning() -> None:
    outcome = read(answer({"content": "bug", "reasoning": "sk-made-up-0123456789"}), secret="sk-made-up-0123456789")
    assert isinstance(outcome, Completion)
    assert "made-up" not in outcome.reasoning


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"completion_tokens": 70, "total_tokens": 90}, Usage(20, 70, reasoning=64)),
        ({"completion_tokens": 6, "total_tokens": 90}, Usage(20, 70, reasoning=64)),
        ({"completion_tokens": 6, "total_tokens": 26}, Usage(20, 6, reasoning=6)),
        ({"completion_tokens": 70}, Usage(20, 70, reasoning=64)),
    ],
    ids=["OpenAI", "xAI, whose answer excludes the reasoning", "contradictory", "no total"],
)
def test_reasoning_tokens_are_part_of_the_tokens_of_the_answer(usage: dict[str, int], expected: Usage) -> None:
    counted = {"prompt_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 64}, **usage}
    assert completion(answer({"content": "bug"}, usage=counted)).usage == expected
