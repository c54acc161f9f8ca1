"""The aiohttp target against a real server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import random
from typing import TYPE_CHECKING

import pytest
from scripted_server import Reply, ScriptedServer, error

from pytest_finetune.base.records import Completion, Failure, Message, Request, ToolCall, Usage
from pytest_finetune.evaluation.targets import OpenAITarget

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "sk-made-up-0123456789"
HI = Request("m", (Message("user", "hi"),), {"temperature": 0.0})


class NoJitter(random.Random):
    """Random waits are zero."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b, 0.0)


def target_for(url: str, environ: Mapping[str, str] | None = None, concurrency: int = 32) -> OpenAITarget:
    environ = {"OPENAI_API_KEY": KEY} if environ is None else environ
    return OpenAITarget("m", base_url=url, environ=environ, concurrency=concurrency, rng=NoJitter())


def ask(target: OpenAITarget, *requests: Request, deadline: float = 10.0) -> list[Completion | Failure]:
    """Send requests one after the other in one event loop."""

    async def run() -> list[Completion | Failure]:
        await target.open()
        try:
            return [await target.ask(request, deadline) for request in requests or (HI,)]
        finally:
            await target.close()

    return asyncio.run(run())


def answers_to(*replies: str | Reply, questions: int = 1, deadline: float = 10.0) -> list[Completion | Failure]:
    with ScriptedServer(replies=replies) as server:
        return ask(target_for(server.url), *[HI] * questions, deadline=deadline)


def failure(outcome: Completion | Failure) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


def completion(outcome: Completion | Failure) -> Completion:
    assert isinstance(outcome, Completion), outcome
    return outcome


def test_an_answer_has_all_that_the_server_reported() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    answer = completion(answers_to(Reply("bug", model="m-2024-07-18", finish_reason="length", usage=usage))[0])
    assert (answer.text, answer.finish_reason, answer.model) == ("bug", "length", "m-2024-07-18")
    assert answer.usage == Usage(9, 2, 4)
    assert answer.latency > 0
    assert (answer.retries, answer.from_cache) == (0, False)


def test_the_body_is_compact_utf8_and_contains_the_whole_request() -> None:
    messages = (Message("system", "分類"), Message("user", "é\u2028", {"name": "ann"}))
    with ScriptedServer() as server:
        ask(target_for(server.url), Request("ft:x", messages, {"seed": 1, "tools": ({"type": "function"},)}))
    assert server.requests[0].body.decode() == (
        '{"messages":[{"role":"system","content":"分類"},{"role":"user","content":"é\u2028","name":"ann"}],'
        '"model":"ft:x","seed":1,"tools":[{"type":"function"}]}'
    )


def test_headers_are_those_of_the_official_client() -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-2"}
    with ScriptedServer() as server:
        ask(target_for(server.url, environ))
    headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-2")
    assert headers["content-type"] == "application/json"


def test_without_a_key_another_server_gets_no_authorization_header() -> None:
    with ScriptedServer() as server:
        completion(ask(target_for(server.url, {}))[0])
    assert "authorization" not in server.requests[0].headers


def test_cookies_are_not_sent_back() -> None:
    with ScriptedServer(lambda _: Reply("ok", headers={"set-cookie": "session=1"})) as server:
        ask(target_for(server.url), HI, HI)
    assert all("cookie" not in request.headers for request in server.requests)


def test_tool_calls_and_refusals_are_answers() -> None:
    call = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]}
    called, refused = answers_to(Reply(message=call), Reply(message={"content": None, "refusal": "no"}), questions=2)
    assert completion(called).tool_calls == (ToolCall("f", '{"a":1}'),)
    assert (completion(refused).text, completion(refused).refusal) == ("", "no")


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"<html>maintenance</html>", b"null", b"[]", {"choices": []}, {"error": {"message": "x"}}],
)
def test_a_200_without_a_completion_is_an_error_sample_after_three_attempts(body: object) -> None:
    with ScriptedServer(replies=[Reply(body=body)] * 3) as server:
        broken, healthy = ask(target_for(server.url), HI, HI)
    assert (failure(broken).kind, failure(broken).fatal, failure(broken).retries) == ("malformed", False, 2)
    assert completion(healthy).text == "hi"
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(401, "Incorrect API key"), "auth"),
        (error(403, "no access"), "auth"),
        (error(404, "no such model", code="model_not_found"), "not_found"),
        (Reply(body=b"<html>nginx</html>", status=404), "not_found"),
        (error(429, "You exceeded your current quota", code="insufficient_quota"), "quota"),
        (error(400, "hard limit", code="billing_hard_limit_reached"), "quota"),
    ],
)
def test_a_fatal_answer_is_not_retried(reply: Reply, kind: str) -> None:
    with ScriptedServer(replies=[reply]) as server:
        outcome = failure(ask(target_for(server.url))[0])
    assert (outcome.kind, outcome.fatal, outcome.retries) == (kind, True, 0)
    assert len(server.requests) == 1


def test_a_bad_request_fails_its_own_sample_only() -> None:
    with ScriptedServer(replies=[error(400, "context length exceeded", code="context_length_exceeded")]) as server:
        refused, healthy = ask(target_for(server.url), HI, HI)
    assert (failure(refused).kind, failure(refused).fatal) == ("bad_request", False)
    assert completion(healthy).text == "hi"
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_temporary_failure_is_retried(status: int) -> None:
    answer = completion(answers_to(error(status, "busy"), error(status, "busy"), "done")[0])
    assert (answer.text, answer.retries) == ("done", 2)


def test_a_lasting_failure_ends_after_eight_attempts() -> None:
    with ScriptedServer(lambda _: error(500, "broken")) as server:
        outcome = failure(ask(target_for(server.url))[0])
    assert (outcome.kind, outcome.status, outcome.fatal, outcome.retries) == ("server", 500, False, 7)
    assert len(server.requests) == 8


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_lost_within_the_body_is_retried(reset: bool) -> None:  # noqa: FBT001
    answer = completion(answers_to(Reply("lost", cut_after=20, reset=reset), "whole")[0])
    assert (answer.text, answer.retries) == ("whole", 1)


def test_an_answer_that_is_not_http_is_malformed() -> None:
    outcome = failure(answers_to(*[Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n")] * 3)[0])
    assert (outcome.kind, outcome.retries) == ("malformed", 2)


@pytest.mark.parametrize("reply", [Reply("slow", drip=0.02), Reply(hang=True), Reply("late", latency=60)])
def test_a_deadline_holds_whatever_the_server_does(reply: Reply) -> None:
    late, healthy = answers_to(reply, "next", questions=2, deadline=0.4)
    assert (failure(late).kind, failure(late).fatal) == ("timeout", False)
    assert completion(healthy).text == "next"


def test_the_message_of_a_deadline_names_the_earlier_failures() -> None:
    outcome = failure(answers_to(error(503, "warming up"), Reply(hang=True), deadline=0.3)[0])
    assert outcome.kind == "timeout"
    assert "warming up" in outcome.message
    assert outcome.retries == 1


def test_a_wait_past_the_deadline_is_an_error_at_once() -> None:
    with ScriptedServer(replies=[error(429, "slow down", retry_after="300")]) as server:
        outcome, healthy = ask(target_for(server.url), HI, HI, deadline=120)
    assert failure(outcome).kind == "rate_limit"
    assert "asks to wait 300 s, past the deadline of 120 s" in failure(outcome).message
    assert completion(healthy).text == "hi"


def test_a_short_wait_is_waited() -> None:
    answer = completion(answers_to(error(429, "slow down", retry_after_ms="30"), "after")[0])
    assert (answer.text, answer.retries) == ("after", 1)


def test_a_redirect_is_not_followed() -> None:
    with ScriptedServer() as elsewhere:
        moved = Reply(status=307, headers={"location": f"{elsewhere.url}/chat/completions"}, body=b"")
        outcome = failure(answers_to(moved)[0])
    assert (outcome.kind, outcome.fatal) == ("bad_request", True)
    assert "redirects to 127.0.0.1" in outcome.message
    assert elsewhere.requests == []


def test_an_unreachable_server_stops_the_run_and_its_address_is_named() -> None:
    with ScriptedServer() as server:
        url = server.url
    outcome = failure(ask(target_for(url))[0])
    assert (outcome.kind, outcome.fatal, outcome.status) == ("connection", True, None)
    assert f"no connection to {url}: Connection refused" in outcome.message
    assert "OPENAI_BASE_URL" in outcome.message


def test_a_host_without_an_address_stops_the_run() -> None:
    outcome = failure(ask(target_for("http://no-such-host.invalid/v1", {}))[0])
    assert (outcome.kind, outcome.fatal) == ("connection", True)


def test_a_server_that_disappears_fails_the_sample_only() -> None:
    async def run(target: OpenAITarget) -> tuple[Completion | Failure, Completion | Failure]:
        await target.open()
        try:
            with ScriptedServer() as server:
                target.base_url = server.url
                first = await target.ask(HI, 10)
            return first, await target.ask(HI, 10)
        finally:
            await target.close()

    first, second = asyncio.run(run(target_for("http://127.0.0.1:1/v1")))
    completion(first)
    assert (failure(second).kind, failure(second).fatal, failure(second).retries) == ("connection", False, 7)


@pytest.mark.parametrize(
    "reply",
    [
        error(401, f"Incorrect API key provided: {KEY}"),
        Reply(body=f"proxy saw {'x' * 280}{KEY}".encode(), status=400),
        Reply(body=f"<p>{KEY}".encode()),
    ],
)
def test_the_key_is_never_in_a_message(reply: Reply) -> None:
    outcome = failure(answers_to(*[reply] * 3)[0])
    assert KEY not in outcome.message
    assert KEY[:12] not in outcome.message


def test_an_endless_body_is_cut_off() -> None:
    blown_up = Reply(body=gzip.compress(b" " * (20 << 20), 1), headers={"content-encoding": "gzip"})
    plain = Reply(body=b" " * (17 << 20))
    bomb, long = answers_to(*[blown_up] * 3, *[plain] * 3, questions=2)
    assert "more than 16 MiB" in failure(bomb).message
    assert "more than 16 MiB" in failure(long).message


def test_all_requests_are_in_flight_together_over_reused_connections() -> None:
    async def run(target: OpenAITarget) -> list[Completion | Failure]:
        await target.open()
        try:
            return await asyncio.gather(*(target.ask(HI, 10) for _ in range(64)))
        finally:
            await target.close()

    with ScriptedServer(latency=0.1) as server:
        outcomes = asyncio.run(run(target_for(server.url, concurrency=16)))
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert (server.max_in_flight, server.connections) == (16, 16)


def test_a_request_can_be_cancelled() -> None:
    async def run(target: OpenAITarget) -> None:
        await target.open()
        try:
            task = asyncio.create_task(target.ask(HI, 60))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:
            await target.close()

    with ScriptedServer(lambda _: Reply(hang=True)) as server:
        asyncio.run(run(target_for(server.url)))


def test_a_closed_target_can_be_opened_again_on_another_loop() -> None:
    with ScriptedServer() as server:
        target = target_for(server.url)
        assert [completion(ask(target)[0]).text, completion(ask(target)[0]).text] == ["hi", "hi"]


def test_a_request_before_opening_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="before open"):
        asyncio.run(target_for("http://127.0.0.1:1/v1").ask(HI, 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1, 2}])
def test_a_request_that_json_cannot_hold_is_an_error_sample(value: object) -> None:
    with ScriptedServer() as server:
        outcome = failure(ask(target_for(server.url), Request("m", HI.messages, {"x": value}))[0])
    assert outcome.kind == "bad_request"
    assert server.requests == []


def test_a_proxy_from_the_environment_is_used() -> None:
    with ScriptedServer() as proxy:
        target = target_for("http://models.example/v1", {"http_proxy": proxy.url.removesuffix("/v1")})
        completion(ask(target)[0])
    assert proxy.requests[0].path == "http://models.example/v1/chat/completions"
