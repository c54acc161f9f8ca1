"""The Python API: gates and eval sets in Python, in an event loop, and results as rows, tables and notebook output."""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import json
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
from scripted_server import ScriptedServer

from pytest_finetune import (
    EvalSetErrors,
    FinetuneError,
    Gate,
    RunStore,
    SampleResult,
    Status,
    evaluate,
    evaluate_async,
    load_eval_set,
    read_registry,
)
from pytest_finetune.evaluation.runs.copies import recorded_set
from pytest_finetune.verdicts.evalset.gate_settings import GATE_KEYS

RUNS = Path(".finetune", "runs")
TOML = 'scorer = "exact"\n\n[request]\ntemperature = 0\n\n[[gates]]\nmin = 0.99\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def server():
    with ScriptedServer(lambda body: body["messages"][-1]["content"].split()[-1]) as server:
        yield server


@pytest.fixture
def words(folder):
    """Four cases, the last of which the server answers wrongly."""
    path = Path("eval_sets/words.jsonl")
    path.parent.mkdir()
    rows = [
        {"id": f"c{n}", "input": f"say {word}", "expected": want, "tags": ["t"]}
        for n, (word, want) in enumerate(["aa", "bb", "cc", "dx"])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".toml").write_text(TOML, "utf-8")
    return path


def test_gates_in_python_take_the_place_of_those_in_the_file(server, words):
    result = evaluate(words, model="m", base_url=server.url, gates=[Gate(min=0.7), Gate(must_pass=["t"])])

    assert [(one.gate, one.status) for one in result.verdicts] == [
        ("accuracy>=0.7", Status.PASS),
        ("must_pass=t", Status.FAIL),
    ]
    assert not result.passed


def test_the_record_holds_the_gates_that_judged(server, words):
    result = evaluate(words, model="m", base_url=server.url, gates=[Gate(min=0.7, where={"tag": "t"})])

    plan = result.run.manifest.eval_sets[0]
    settings = recorded_set(result.run, plan, root=Path.cwd()).settings
    assert [rule.label for rule in settings.rules] == ["accuracy>=0.7,tag=t"]
    assert settings.request.temperature == 0
    assert plan.settings_sha256 != load_eval_set(words).settings_sha256


def test_a_loaded_eval_set_can_be_evaluated_next_to_a_file(server, words):
    other = words.with_name("other.jsonl")
    other.write_text(words.read_text("utf-8"), "utf-8")
    loaded = load_eval_set(words, gates=[], repeats=2)

    result = evaluate([loaded, other], model="m", base_url=server.url)

    assert [(one.name, one.summary.planned) for one in result.sets] == [
        ("eval_sets/words.jsonl", 8),
        ("eval_sets/other.jsonl", 4),
    ]


def test_a_loaded_eval_set_is_not_changed_later(server, words):
    with pytest.raises(FinetuneError, match="gates, repeats and api do not change an eval set that is loaded"):
        evaluate(load_eval_set(words), model="m", base_url=server.url, repeats=2)
    with pytest.raises(FinetuneError, match="given twice"):
        evaluate([load_eval_set(words), words], model="m", base_url=server.url)
    assert server.questions == []


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "exactly one of min, max, max_drop, max_flips, must_pass; found none"),
        ({"min": 0.9, "max": 0.95}, "found min and max"),
        ({"min": 1.5}, "the bar 1.5 cannot be met or missed"),
        ({"min": 0.9, "metric": "acuracy"}, "metric: unknown metric 'acuracy'"),
        ({"max_drop": 0.1}, "max_drop needs against"),
        ({"min": 0.9, "confidence": 1.2}, "confidence"),
    ],
)
def test_values_that_make_no_gate_are_refused(keys, message):
    with pytest.raises(FinetuneError, match=message):
        Gate(**keys)


def test_a_gate_has_the_name_that_its_verdict_has():
    assert Gate(metric="macro_f1", min=0.9, where={"tag": "x"}).name == "macro_f1>=0.9,tag=x"


def test_a_gate_has_every_key_of_the_settings():
    keys = {key for keys in GATE_KEYS.values() for key in keys}
    assert {one.name for one in dataclasses.fields(Gate)} == keys
    assert Gate(metric="recall", label="*", min=0.8).name == "recall>=0.8,label=*"


def test_gates_that_do_not_fit_the_cases_are_refused(words):
    with pytest.raises(EvalSetErrors, match=r"gates given for eval_sets/words\.jsonl: .*'vip'"):
        load_eval_set(words, gates=[Gate(must_pass=["vip"])])


def test_a_file_that_cannot_be_used_is_refused(words):
    words.with_suffix(".toml").write_text("[[gates]]\nmin = 2\n", "utf-8")
    with pytest.raises(EvalSetErrors, match=r"words\.toml:1"):
        load_eval_set(words, gates=[Gate(min=0.9)])
    with pytest.raises(FinetuneError, match="no such file"):
        load_eval_set("eval_sets/none.jsonl")


def test_samples_are_typed_and_become_rows(server, words):
    result = evaluate(words, model="m", base_url=server.url)

    last = result.samples[-1]
    assert isinstance(last, SampleResult)
    assert (last.case, last.state, last.answer, last.expected, last.tags) == ("c3", "missed", "d", ("x",), ("t",))
    rows = result.to_dicts()
    assert json.loads(json.dumps(rows))[-1]["messages"] == [{"role": "user", "content": "say d"}]
    assert [row["status"] for row in result.to_dicts("verdicts")] == ["fail"]
    assert [(row["cases"], row["passed"], row["missed"]) for row in result.to_dicts("sets")] == [(4, 3, 1)]
    with pytest.raises(ValueError, match="no rows 'cases'"):
        result.to_dicts("cases")


@pytest.mark.parametrize("rows", ["samples", "verdicts", "sets"])
def test_rows_become_a_data_frame(server, words, rows):
    pandas = pytest.importorskip("pandas")
    result = evaluate(words, model="m", base_url=server.url)

    frame = result.to_pandas(rows)

    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(result.to_dicts(rows)[0])
    assert len(frame) == len(result.to_dicts(rows))


def test_without_pandas_the_error_names_the_extra(server, words, monkeypatch):
    def without(name, *args, real=builtins.__import__, **more):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **more)

    result = evaluate(words, model="m", base_url=server.url)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FinetuneError, match=r"pandas is not installed\n.*pip install 'pytest-finetune\[pandas\]'"):
        result.to_pandas()


def test_printed_it_is_the_table_of_a_session(server, words):
    result = evaluate(words, model="m", base_url=server.url)

    assert str(result) == repr(result)
    assert "eval_sets/words.jsonl" in str(result)
    assert "accuracy>=0.99" in str(result)
    assert max(map(len, str(result).splitlines())) <= 80


class Tags(HTMLParser):
    """The elements, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.names, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.open.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_in_a_notebook_it_is_a_table_with_a_chart_and_no_script(server, words):
    named = words.rename(words.with_name("<img src=x onerror=alert(1)>.jsonl"))
    words.with_suffix(".toml").rename(named.with_suffix(".toml"))

    text = evaluate(named, model="<b>m", base_url=server.url)._repr_html_()

    tags = Tags(text)
    assert tags.open == []
    assert {"table", "svg", "style"} <= set(tags.names)
    assert not {"script", "img", "link", "iframe"} & set(tags.names)
    assert "&lt;img" in text
    assert "&lt;b&gt;m" in text
    assert 'class="bar"' in text
    assert 'class="range"' in text


def test_a_set_without_gates_and_a_gate_in_seconds_have_charts_too(server, words):
    gates = [Gate(metric="latency_p95", max=60), Gate(metric="tokens_per_case", max=9000)]
    assert evaluate(words, model="m", base_url=server.url, gates=gates)._repr_html_().count("<svg") == 2
    assert "does not ship" in evaluate(words, model="m", base_url=server.url, gates=[])._repr_html_()


def test_it_runs_in_a_loop_that_runs_already(server, words):
    async def two():
        runs = [evaluate_async(words, model=model, base_url=server.url) for model in ("m", "n")]
        return await asyncio.gather(*runs)

    assert [one.model for one in asyncio.run(two())] == ["m", "n"]


@pytest.fixture
def slow():
    """Answers the first request; the others wait until the test ends."""
    first, waiting, ending = threading.Event(), threading.Event(), threading.Event()

    def answer(body):
        if first.is_set():
            waiting.set()
            ending.wait(20)
        first.set()
        return body["messages"][-1]["content"].split()[-1]

    with ScriptedServer(answer) as server:
        server.answered, server.waiting = first, waiting
        yield server
        ending.set()


def test_cancelled_it_keeps_its_answers_and_can_be_resumed(slow, words):
    async def cancelled():
        task = asyncio.create_task(evaluate_async(words, model="m", base_url=slow.url, concurrency=1))
        assert await asyncio.to_thread(slow.waiting.wait, 20)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())

    (run,) = RunStore(RUNS).readable()
    assert len(run.samples()) == 1
    assert not run.manifest.closed
    run.lock()  # nobody holds it


def test_stopped_in_a_notebook_it_sends_no_more_requests(slow, words, monkeypatch):
    real = threading.Thread.join

    def interrupted(thread, *args):
        if thread.name == "evaluate" and not slow.answered.is_set():
            slow.answered.wait(20)
            raise KeyboardInterrupt
        real(thread, *args)

    async def cell():
        return evaluate(words, model="m", base_url=slow.url, concurrency=1)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cell())

    assert len(slow.questions) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name == "evaluate"]


@pytest.mark.parametrize("spec", ["replay:none", "local:none"])
def test_a_model_that_cannot_be_used_leaves_no_record(words, spec):
    with pytest.raises(FinetuneError):
        evaluate(words, model=spec)
    assert list(RunStore(RUNS).readable()) == []


def test_an_evaluation_that_stops_before_its_first_answer_leaves_no_record(server, words, monkeypatch):
    from pytest_finetune.base.errors import TargetError
    from pytest_finetune.evaluation.targets.openai import OpenAITarget

    async def broken(self):
        raise TargetError("cannot be opened")

    monkeypatch.setattr(OpenAITarget, "open", broken)

    result = evaluate(words, model="m", base_url=server.url)

    assert result.run is None
    assert "cannot be opened" in result.stopped.message
    assert not result.passed
    assert [row["state"] for row in result.to_dicts()] == ["unrun"] * 4
    assert "cannot be opened" in str(result)
    assert "cannot be opened" in result._repr_html_()
    assert list(RunStore(RUNS).readable()) == []


def test_interrupted_before_its_first_answer_it_leaves_no_record(slow, words):
    slow.answered.set()

    async def cancelled():
        task = asyncio.create_task(evaluate_async(words, model="m", base_url=slow.url))
        assert await asyncio.to_thread(slow.waiting.wait, 20)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert list(RunStore(RUNS).readable()) == []


def test_a_registry_is_read(folder):
    assert read_registry("registry.json").entries == {}
    (folder / "registry.json").write_text("{", "utf-8")
    with pytest.raises(FinetuneError, match=r"registry\.json"):
        read_registry("registry.json")
