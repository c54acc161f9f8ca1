"""A target made from an official client sends and judges exactly as the aiohttp target does."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest
from scripted_server import Reply, ScriptedServer, error
from successor_server import SuccessorServer

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure, Message, Request
from pytest_finetune.evaluation.targets import ClientTarget, OpenAITarget, Target
from pytest_finetune.evaluation.targets.responses_api import responses_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

KEY = "sk-target-up-0123456789"
HI = Request("m", (Message("user", "hi"),), {"temperature": 0.0})
CLIENTS = ("asynchronous", "synchronous")
SCHEMA = {"type": "object", "properties": {"城市": {"type": "string"}}, "required": ["城市"]}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
REQUESTS = [
    HI,
    Request("ft:gpt-4.1-mini:acme::x", (Message("system", "分類"), Message("user", "é\u2028 \U0001f600"))),
    Request("m", (Message("user", [{"type": "text", "text": "hi"}]),), {"max_completion_tokens": 8, "seed": 7}),
    Request(
        "m", HI.messages, {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
    ),
    Request("m", HI.messages, {"tools": ({"type": "function", "function": {"name": "f"}},), "tool_choice": "auto"}),
    Request("m", HI.messages, {"stop": ["\n"], "logit_bias": {"50256": -100}, "reasoning_effort": "low"}),
    Request(
        "m",
        (
            *HI.messages,
            Message("assistant", None, {"tool_calls": [CALL]}),
            Message("tool", "1", {"tool_call_id": "c1"}),
        ),
    ),
]
BEYOND_THE_STANDARD = Request("m", HI.messages, {"min_p": 0.1, "chat_template_kwargs": {"enable_thinking": False}})


class NoJitter(random.Random):
    """Random waits are zero."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b, 0.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official client would use a proxy for loopback, too."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@asynccontextmanager
async def client_target(kind: str, url: str) -> AsyncIterator[Target]:
    # Without certificates, whose loading would take most of a test's time: the servers are on loopback.
    options = {"api_key": KEY, "base_url": url}
    if kind == "synchronous":
        with openai.OpenAI(**options, http_client=openai.DefaultHttpxClient(verify=False)) as client:
            yield ClientTarget("m", client, rng=NoJitter())
    else:
        async with openai.AsyncOpenAI(**options, http_client=openai.DefaultAsyncHttpxClient(verify=False)) as client:
            yield ClientTarget("m", client, rng=NoJitter())


@asynccontextmanager
async def opened(kind: str, url: str) -> AsyncIterator[Target]:
    if kind == "aiohttp":
        target = OpenAITarget("m", base_url=url, environ={"OPENAI_API_KEY": KEY}, rng=NoJitter())
        await target.open()
        try:
            yield target
        finally:
            await target.close()
    else:
        async with client_target(kind, url) as target:
            yield target


def ask(kind: str, server: ScriptedServer, requests: Sequence[Request], deadline: float) -> list[Completion | Failure]:
    async def run() -> list[Completion | Failure]:
        async with opened(kind, server.url) as target:
            return [await target.ask(request, deadline) for request in requests]

    return asyncio.run(run())


def judged(kind: str, *replies: Reply, deadline: float = 10.0) -> tuple[Completion | Failure, int]:
    """The outcome of a script without its latency, and the number of calls."""
    with ScriptedServer(replies=replies) as server:
        outcome = ask(kind, server, [HI], deadline)[0]
        return replace(outcome, latency=0.0), len(server.requests)


@pytest.mark.parametrize("kind", CLIENTS)
def test_both_send_the_same_body_to_the_same_place(kind: str) -> None:
    requests = [*REQUESTS, BEYOND_THE_STANDARD]
    with ScriptedServer() as ours, ScriptedServer() as theirs:
        ask("aiohttp", ours, requests, 10)
        ask(kind, theirs, requests, 10)
    assert ours.questions == theirs.questions == [_as_json(request) for request in requests]
    assert [request.path for request in ours.requests] == [request.path for request in theirs.requests]
    assert ours.requests[0].headers["authorization"] == theirs.requests[0].headers["authorization"]


def test_the_body_equals_that_of_the_official_method() -> None:
    with (
        ScriptedServer() as ours,
        ScriptedServer() as theirs,
        openai.OpenAI(api_key=KEY, base_url=theirs.url) as client,
    ):
        ask("aiohttp", ours, REQUESTS, 10)
        for request in REQUESTS:
            client.chat.completions.create(**request.body())
    assert ours.questions == theirs.questions


@pytest.mark.parametrize("kind", CLIENTS)
def test_requests_to_the_responses_api_equal_those_of_the_official_method(kind: str) -> None:
    params = {
        "max_completion_tokens": 16,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    }
    requests = [Request("m", request.messages, params, api="responses") for request in REQUESTS]
    with (
        SuccessorServer() as ours,
        SuccessorServer() as theirs,
        SuccessorServer() as official,
        openai.OpenAI(api_key=KEY, base_url=official.url) as client,
    ):
        answers = ask("aiohttp", ours, requests, 10), ask(kind, theirs, requests, 10)
        for request in requests:
            client.responses.create(**responses_body(request))
    assert ours.questions == theirs.questions == official.questions
    assert {request.path for request in (*ours.requests, *theirs.requests)} == {"/v1/responses"}
    for one, other in zip(*answers, strict=True):
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one.tool_calls == other.tool_calls != ()


def _as_json(request: Request) -> Any:
    body = request.body()
    return {**body, "tools": list(body["tools"])} if "tools" in body else body


SCRIPTS = {
    "an answer": [Reply("bug", usage={"prompt_tokens": 3, "completion_tokens": 1})],
    "a tool call": [Reply(message={"content": None, "tool_calls": [CALL]}, finish_reason="tool_calls")],
    "a refusal": [Reply(message={"content": None, "refusal": "no"})],
    "filtered": [Reply(None, finish_reason="content_filter")],
    "an empty body": [Reply(body=b"")] * 3,
    "no json": [Reply(body=b"not json")] * 3,
    "html": [Reply(body=b"<html>", headers={"content-type": "text/html"})] * 3,
    "an error inside": [Reply(body={"error": {"message": "x"}})] * 3,
    "a fatal error inside": [Reply(body={"error": {"message": "x", "code": "insufficient_quota"}})],
    "malformed, then well": [Reply(body=b"not json"), Reply("ok")],
    "unauthorized": [error(401, f"Incorrect API key provided: {KEY}")],
    "forbidden": [error(403, "no")],
    "no such model": [error(404, "no", code="model_not_found")],
    "a bad request": [error(400, "no")],
    "unprocessable": [error(422, "no")],
    "no quota": [error(429, "no", code="insufficient_quota")],
    "busy, then well": [error(429, "busy"), error(503, "busy"), error(409, "busy"), Reply("ok")],
    "asked to wait": [error(429, "busy", retry_after_ms="20"), Reply("ok")],
    "asked to wait too long": [error(429, "busy", retry_after="300")],
    "broken for good": [error(500, "no")] * 8,
    "a redirect": [Reply(status=302, headers={"location": "http://elsewhere.example/"}, body=b"")],
    "cut off, then well": [Reply("no", cut_after=9), Reply("ok")],
    "reset, then well": [Reply("no", cut_after=9, reset=True), Reply("ok")],
    "too long": [Reply(body=b" " * (17 << 20))] * 3,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_both_judge_the_same_answers_alike(script: list[Reply]) -> None:
    expected = judged("aiohttp", *script)
    assert {kind: judged(kind, *script) for kind in CLIENTS} == dict.fromkeys(CLIENTS, expected)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("reply", [Reply("slow", drip=0.02), Reply(hang=True)])
def test_both_respect_the_deadline(kind: str, reply: Reply) -> None:
    assert judged(kind, reply, deadline=0.3)[0] == judged("aiohttp", reply, deadline=0.3)[0]


@pytest.mark.parametrize("kind", ["aiohttp", *CLIENTS])
def test_all_requests_stop_if_the_server_never_answers(kind: str) -> None:
    server = ScriptedServer()
    with server:
        pass
    outcome = ask(kind, server, [HI], 10)[0]
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal, outcome.retries) == ("connection", True, 3)
    assert outcome.message.startswith(f"no connection to {server.url}")


def test_an_unknown_exception_of_a_client_is_an_error_sample_without_the_key() -> None:
    def token() -> str:
        raise OSError(f"no token for {KEY}")

    with ScriptedServer() as server, openai.OpenAI(api_key=token, base_url=server.url) as client:
        outcome = asyncio.run(ClientTarget("m", client).ask(HI, 10))
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.fatal) == ("target", False)
    assert outcome.message == "the client raised OSError: no token for sk-[API key]"


def test_an_azure_client_calls_its_deployment() -> None:
    with (
        ScriptedServer() as server,
        openai.AzureOpenAI(
            api_key=KEY, api_version="2024-10-21", azure_endpoint=server.url.removesuffix("/v1")
        ) as client,
    ):
        outcome = asyncio.run(
            ClientTarget("prod", client, model="my-deployment").ask(replace(HI, model="my-deployment"), 10)
        )
    assert isinstance(outcome, Completion)
    assert server.requests[0].path == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"


def test_a_client_target_names_its_model_and_its_address() -> None:
    with openai.OpenAI(api_key=KEY, base_url="https://u:hunter2@a.example/v1/") as client:
        target = ClientTarget("prod", client, model="ft:m:x")
        assert (target.spec, target.model, target.base_url) == ("prod", "ft:m:x", "https://a.example/v1")
        assert target.immutable
        assert ClientTarget("m", client).model == "m"


def test_the_settings_of_the_client_do_not_change() -> None:
    with ScriptedServer() as server, openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=5) as client:
        asyncio.run(ClientTarget("m", client).ask(HI, 10))
        assert client.max_retries == 5
        assert client.chat.completions.create(model="m", messages=[{"role": "user", "content": "still open"}])


def test_an_object_that_is_not_a_client_is_refused() -> None:
    with pytest.raises(TargetError, match="is not a client"):
        ClientTarget("m", object())  # type: ignore[arg-type]
