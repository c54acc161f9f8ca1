"""Requests to a llama.cpp server, tested on a scripted one without slots whose template needs a user message."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from scripted_server import Reply, ScriptedServer

from pytest_finetune.base.records import Completion, Message, Request
from pytest_finetune.evaluation.targets.llama_slot import Slot


class Process:
    """A process that always runs; its requests go to a scripted server."""

    model, socket_path, key, pid, closed, crashed = Path("absent.gguf"), None, "", 1, False, False

    def __init__(self, server):
        self.address = server.url.removesuffix("/v1")
        self.ended = 0

    async def start(self):
        pass

    def kill(self):
        self.ended += 1

    def end(self):
        self.ended += 1

    def close(self):
        self.closed = True


SYSTEM, USER = Message("system", "Answer in one word."), Message("user", "It crashes.")
WAIT = 20.0


def ask(server, *requests, deadline=WAIT):
    async def session():
        slot = Slot("local:m", "m", Process(server))
        await slot.open()
        try:
            return [await slot.ask(request, deadline) for request in requests]
        finally:
            await slot.close()

    return asyncio.run(session())


def is_alone(body):
    return len(body["messages"]) == 1 and body["messages"][0]["role"] == "system"


def bodies(server):
    return [received.json for received in server.requests if received.path.endswith("/chat/completions")]


def test_if_the_template_needs_a_user_message_the_request_is_sent_unchanged():
    with ScriptedServer(answer=lambda body: Reply(status=500) if is_alone(body) else "bug") as server:
        first, second = ask(server, Request("m", (SYSTEM, USER)), Request("m", (SYSTEM, USER)))
    assert (first.text, second.text) == ("bug", "bug")
    alone, *others = bodies(server)
    assert is_alone(alone)
    assert [body.get("cache_prompt") for body in others] == [None, None]


def test_if_no_state_can_be_saved_the_system_prompt_is_processed_before_each_request():
    with ScriptedServer(answer=lambda _: "bug") as server:
        ask(server, Request("m", (SYSTEM, USER)), Request("m", (SYSTEM, USER)))
    assert [is_alone(body) for body in bodies(server)] == [True, False, True, False]
    assert [body.get("cache_prompt") for body in bodies(server)] == [False, True, False, True]


def test_the_system_prompt_is_processed_with_its_tools():
    tools = [{"type": "function", "function": {"name": "find"}}]
    with ScriptedServer(answer=lambda _: "bug") as server:
        ask(server, Request("m", (SYSTEM, USER), {"tools": tools, "max_completion_tokens": 8}))
    alone, _ = bodies(server)
    assert alone["tools"] == tools
    assert alone["max_tokens"] == 1
    assert "max_completion_tokens" not in alone


@pytest.mark.parametrize("messages", [(USER,), (SYSTEM,), (USER, SYSTEM)])
def test_without_a_system_prompt_there_is_one_call(messages):
    with ScriptedServer(answer=lambda _: "bug") as server:
        ask(server, Request("m", messages))
    assert len(server.requests) == 1


def test_a_failure_of_the_server_is_returned_without_a_retry():
    with ScriptedServer(answer=lambda _: Reply(status=500)) as server:
        [failure] = ask(server, Request("m", (USER,)))
    assert (failure.kind, failure.retries, len(server.requests)) == ("target", 0, 1)


def test_the_deadline_includes_processing_the_system_prompt():
    with ScriptedServer(answer=lambda body: Reply(hang=True) if is_alone(body) else "bug") as server:
        [failure] = ask(server, Request("m", (SYSTEM, USER)), deadline=0.2)
    assert failure.kind == "timeout"
    assert "system prompt" in failure.message


def test_closing_while_the_system_prompt_is_processed_ends_the_request():
    async def session(server):
        slot = Slot("local:m", "m", Process(server))
        await slot.open()
        task = asyncio.create_task(slot.ask(Request("m", (SYSTEM, USER)), WAIT))
        while not server.requests:  # noqa: ASYNC110 - the server lives in another thread
            await asyncio.sleep(0.01)
        await slot.close()
        return await task

    with ScriptedServer(answer=lambda _: Reply(hang=True)) as server:
        assert asyncio.run(session(server)).message == "the model was closed before it answered"


def test_a_request_that_is_not_json_is_a_failure():
    with ScriptedServer() as server:
        [failure, completion] = ask(server, Request("m", (SYSTEM, Message("user", {1}))), Request("m", (USER,)))
    assert failure.kind == "bad_request"
    assert isinstance(completion, Completion)
