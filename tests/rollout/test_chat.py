"""The official clients, sync and async, against a real server on loopback."""

from __future__ import annotations

import asyncio

import openai
import pytest
from scripted_server import Reply, ScriptedServer, error

QUESTION = {"messages": [{"role": "user", "content": "The box was open."}]}


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def ask_async(server, router):
    """One request with the async client, in its own event loop."""

    def ask(**options):
        async def main():
            async with openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
                return await router.chat_async(client, **QUESTION, **options)

        return asyncio.run(main())

    return ask


def broken_canary(body):
    return error(500, "the canary is broken") if body["model"] == "ft:v3" else "bug"


def requested_models(server):
    return [body["model"] for body in server.questions]


def counts(router):
    return {standing.version: (standing.calls, standing.failed) for standing in router.status()}


def test_a_chat_calls_the_user_s_model_and_reports_the_outcome(router, client, server, canary_user, other_user):
    for user in (canary_user, other_user):
        answer = router.chat(client, user_id=user, temperature=0, **QUESTION)
        assert answer.choices[0].message.content == "The box was open."
    assert requested_models(server) == ["ft:v3", "ft:v2"]
    assert server.questions[0]["temperature"] == 0
    assert counts(router) == {"v2": (1, 0), "v3": (1, 0), "v1": (0, 0)}


def test_the_latency_of_a_chat_is_measured(router, client, clock, other_user, server):
    server.answer = lambda body: setattr(clock, "now", clock.now + 0.7) or "bug"
    router.chat(client, user_id=other_user, **QUESTION)
    assert router.status()[0].latency == pytest.approx(0.7)


def test_an_exception_is_reported_and_raised_again(router, client, server, canary_user):
    server.answer = broken_canary
    with pytest.raises(openai.InternalServerError, match="the canary is broken"):
        router.chat(client, user_id=canary_user, **QUESTION)
    assert requested_models(server) == ["ft:v3"]
    assert counts(router)["v3"] == (1, 1)


def test_production_may_answer_for_a_failed_canary(router, client, server, canary_user):
    server.answer = broken_canary
    answer = router.chat(client, user_id=canary_user, retry_on_production=True, **QUESTION)
    assert answer.choices[0].message.content == "bug"
    assert requested_models(server) == ["ft:v3", "ft:v2"]
    assert counts(router) == {"v2": (1, 0), "v3": (1, 1), "v1": (0, 0)}


def test_production_is_not_called_twice(router, client, server, other_user):
    server.answer = lambda body: error(500, "down")
    with pytest.raises(openai.InternalServerError):
        router.chat(client, user_id=other_user, retry_on_production=True, **QUESTION)
    assert requested_models(server) == ["ft:v2"]


def test_when_the_second_try_fails_too_its_error_is_raised(router, client, server, canary_user):
    server.answer = lambda body: error(500, f"{body['model']} is down")
    with pytest.raises(openai.InternalServerError, match="ft:v2 is down"):
        router.chat(client, user_id=canary_user, retry_on_production=True, **QUESTION)
    assert counts(router) == {"v2": (1, 1), "v3": (1, 1), "v1": (0, 0)}


def test_an_answer_that_is_not_accepted_is_returned_and_counts_as_failed(router, client, canary_user):
    answer = router.chat(client, user_id=canary_user, accept=lambda answer: False, **QUESTION)
    assert answer.choices[0].message.content == "The box was open."
    assert counts(router)["v3"] == (1, 1)


def test_production_may_answer_for_a_canary_whose_answer_is_not_accepted(router, client, server, canary_user):
    server.answer = lambda body: "prose" if body["model"] == "ft:v3" else "bug"
    answer = router.chat(
        client,
        user_id=canary_user,
        accept=lambda answer: answer.choices[0].message.content == "bug",
        retry_on_production=True,
        **QUESTION,
    )
    assert answer.choices[0].message.content == "bug"
    assert counts(router) == {"v2": (1, 0), "v3": (1, 1), "v1": (0, 0)}


def test_an_accept_that_raises_counts_as_a_failed_call(router, client, other_user):
    with pytest.raises(ZeroDivisionError):
        router.chat(client, user_id=other_user, accept=lambda answer: 1 / 0, **QUESTION)
    assert counts(router)["v2"] == (1, 1)


def test_an_async_client_is_refused_by_the_sync_chat_and_nothing_is_reported(router, server, other_user):
    client = openai.AsyncOpenAI(base_url=server.url, api_key="none")
    with pytest.raises(TypeError, match="chat_async"):
        router.chat(client, user_id=other_user, **QUESTION)
    assert counts(router)["v2"] == (0, 0)


def test_a_version_on_its_own_server_is_called_there(make_router, registry, client, server):
    with ScriptedServer(answer=lambda body: "from elsewhere") as elsewhere:
        registry.add("v4", base_url=elsewhere.url)
        registry.step("promote", "v4")
        answer = make_router().chat(client, user_id="anybody", **QUESTION)
    assert answer.choices[0].message.content == "from elsewhere"
    assert server.questions == []


@pytest.mark.slow
def test_a_bad_canary_is_dropped_after_a_few_calls(router, client, server):
    server.answer = broken_canary
    failed = 0
    for number in range(300):
        try:
            router.chat(client, user_id=f"user-{number}", **QUESTION)
        except openai.InternalServerError:
            failed += 1
    assert 2 <= failed <= 10
    assert set(requested_models(server)[-200:]) == {"ft:v2"}


def test_the_async_chat_calls_the_model_and_reports(router, server, ask_async, canary_user):
    assert ask_async(user_id=canary_user).choices[0].message.content == "The box was open."
    assert counts(router)["v3"] == (1, 0)


def test_the_async_chat_reports_and_raises_again(router, server, ask_async, canary_user):
    server.answer = broken_canary
    with pytest.raises(openai.InternalServerError):
        ask_async(user_id=canary_user)
    assert counts(router)["v3"] == (1, 1)


def test_production_may_answer_for_a_failed_canary_in_the_async_chat(router, server, ask_async, canary_user):
    server.answer = broken_canary
    assert ask_async(user_id=canary_user, retry_on_production=True).choices[0].message.content == "bug"
    assert counts(router) == {"v2": (1, 0), "v3": (1, 1), "v1": (0, 0)}


def test_the_async_chat_returns_an_answer_that_is_not_accepted(router, server, ask_async, canary_user):
    ask_async(user_id=canary_user, accept=lambda answer: False)
    assert counts(router)["v3"] == (1, 1)


def test_a_cancelled_call_is_not_a_failure_of_the_model(router, server, other_user):
    server.answer = lambda body: Reply(hang=True)

    async def main():
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
            async with asyncio.timeout(0.2):
                await router.chat_async(client, user_id=other_user, **QUESTION)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert counts(router)["v2"] == (0, 0)
