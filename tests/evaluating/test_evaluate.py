"""`evaluate` and `pytest-finetune run`: the same verdicts as in a session, without pytest's items."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import ScriptedServer, error

from pytest_finetune import EvaluationResult, FinetuneError, RunStore, evaluate
from pytest_finetune.cli import main

GATE = "[[gates]]\nmin = 0.6\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return tmp_path


@pytest.fixture
def server():
    """Answers every question with the last word of its prompt, but `bad` with an error."""

    def answer(body):
        word = body["messages"][-1]["content"].split()[-1]
        return error(400, "bad") if word == "bad" else word

    with ScriptedServer(answer) as server:
        yield server


def write_set(name="words", *, expected=("a", "b", "x"), asked=("a", "b", "c"), toml=GATE):
    path = Path("eval_sets", f"{name}.jsonl")
    path.parent.mkdir(exist_ok=True)
    rows = [
        {"id": f"c{n}", "input": f"say {ask}", "expected": want, "tags": ["t"]}
        for n, (ask, want) in enumerate(zip(asked, expected, strict=True))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".toml").write_text(toml, "utf-8")
    return path


def run(server, *words, code=0):
    words = ["run", "--model=m", f"--base-url={server.url}", *words]
    result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.stdout


def test_a_model_is_evaluated_in_a_few_lines(server):
    result = evaluate(write_set(), model="m", base_url=server.url)

    assert isinstance(result, EvaluationResult)
    assert result.passed
    assert [(row["case"], row["state"], row["answer"]) for row in result.to_dicts()] == [
        ("c0", "passed", "a"),
        ("c1", "passed", "b"),
        ("c2", "missed", "c"),
    ]
    assert str(result).startswith("m ships: 1 of 1 gates passed\n")
    assert "<td>accuracy&gt;=0.6</td>" in result._repr_html_()
    assert RunStore(Path(".finetune", "runs")).find("last").manifest.closed


def test_a_failed_gate_and_an_error_are_no_pass(server):
    failed = evaluate(write_set(toml="[[gates]]\nmin = 0.9\n"), model="m", base_url=server.url)
    broken = evaluate(write_set("broken", asked=("a", "b", "bad")), model="m", base_url=server.url)

    assert not failed.passed
    assert not broken.passed
    assert [row["state"] for row in broken.to_dicts()] == ["passed", "passed", "error"]
    assert broken.outcome.words == "does not ship yet"


def test_a_run_that_was_stopped_is_no_pass_whatever_its_gates_say():
    write_set(toml='[[gates]]\nmetric = "error_rate"\nmax = 1.0\n')
    with ScriptedServer(lambda _: error(401, "wrong key", code="invalid_api_key")) as server:
        result = evaluate(model="m", base_url=server.url)
        assert result.stopped is not None
        assert not result.passed
        assert "wrong key" in run(server, code=2)


def test_all_eval_sets_of_the_project_are_found_from_any_of_its_folders(server, monkeypatch, folder):
    write_set("one")
    write_set("two", asked=("a", "b", "d"))
    (folder / "inside").mkdir()
    monkeypatch.chdir(folder / "inside")

    result = evaluate(model="m", base_url=server.url)

    assert [one.name for one in result.sets] == ["eval_sets/one.jsonl", "eval_sets/two.jsonl"]
    assert (folder / ".finetune" / "runs").is_dir()


def test_a_notebook_may_call_it_while_its_own_loop_runs(server):
    write_set()

    async def cell():
        return evaluate(model="m", base_url=server.url)

    assert asyncio.run(cell()).passed


def test_a_recorded_run_is_the_baseline_of_gates(server):
    path = write_set(toml='[[gates]]\nmax_flips = 0\nagainst = "replay:last"\n')
    evaluate(path, model="m", base_url=server.url)
    first = RunStore(Path(".finetune", "runs")).find("last").id

    same = evaluate(path, model="other", base_url=server.url, baseline=first)

    assert [verdict.baseline for one in same.sets for verdict in one.verdicts] == [f"replay:{first}"]


def test_resuming_sends_only_what_is_missing(server):
    write_set(asked=("a", "b", "bad"))
    run(server, code=1)
    sent = len(server.questions)

    run(server, "--resume", code=1)

    assert len(server.questions) == sent + 1


def test_the_command_prints_the_closing_section_of_a_session(server):
    write_set()

    text = run(server)

    assert text.startswith("m ships: 1 of 1 gates passed\neval set")
    assert "accuracy>=0.6" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_json_has_verdicts_and_totals(server):
    write_set()

    found = json.loads(run(server, "--json"))

    assert (found["passed"], found["outcome"], found["closed"]) == (True, "ships", True)
    assert [one["gate"] for one in found["verdicts"]] == ["accuracy>=0.6"]
    assert (found["totals"]["passed"], found["totals"]["missed"]) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eval_sets": "none.jsonl"}, "there is no such file or folder"),
        ({"model": " "}, "names no model"),
        ({"model": "replay:none"}, "none"),
        ({"baseline": "none"}, "none"),
        ({"max_cost": 1}, "the price of m"),
        ({"max_cost": float("nan")}, "may be spent is NaN"),
        ({"max_cost": float("inf")}, "may be spent is Infinity"),
        ({"max_cost": -1}, "may be spent is -1"),
        ({"max_cost": "much"}, "'much' is not a number"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"deadline": 0}, "the deadline is 0"),
        ({"deadline": float("nan")}, "the deadline is nan"),
        ({"repeats": 0}, "repeats is 0"),
        ({"api": "response"}, "response: unknown API"),
        ({"folder": "none"}, "there is no such folder"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_request(server, arguments, message):
    write_set()

    with pytest.raises(FinetuneError, match=message):
        evaluate(**{"model": "m", "base_url": server.url} | arguments)

    assert server.questions == []


def test_a_folder_without_eval_sets_is_an_error(server):
    with pytest.raises(FinetuneError, match="no eval sets: looked for"):
        evaluate(model="m", base_url=server.url)


def test_the_api_and_the_prices_of_the_project_count(server, folder):
    (folder / "pytest.ini").write_text("[pytest]\nfinetune_api = responses\nfinetune_prices = m = 1, 2\n", "utf-8")
    write_set()

    evaluate(model="m", base_url=server.url, max_cost=1)

    assert {request.path for request in server.requests} == {"/v1/responses"}


def test_an_unknown_api_of_the_project_is_an_error(server, folder):
    (folder / "pytest.ini").write_text("[pytest]\nfinetune_api = grpc\n", "utf-8")
    write_set()

    with pytest.raises(FinetuneError, match="finetune_api = grpc: unknown API"):
        evaluate(model="m", base_url=server.url)


@pytest.mark.slow
def test_no_module_of_pytest_is_loaded():
    code = "import sys, pytest_finetune.api.evaluating, pytest_finetune.cli.run; print('pytest' in sys.modules)"
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


SEQUENTIAL = '[[gates]]\nmin = 0.8\nconfidence = 0.95\nsequential = "pocock"\n'


def test_a_sequential_gate_stops_an_evaluation_without_pytest(server):
    names = tuple(f"w{number}" for number in range(100))
    path = write_set(expected=names, asked=names, toml=SEQUENTIAL)
    result = evaluate(path, model="m", base_url=server.url, concurrency=8)
    assert (result.passed, result.sets[0].unneeded, len(server.requests)) == (True, 60, 40)
    assert result.outcome.reasons == "1 of 1 gates passed"
    assert result.run.manifest.closed
    again = evaluate(path, model="m", base_url=server.url, resume=True)
    assert (again.passed, again.run.id, len(server.requests)) == (True, result.run.id, 40)
    whole = evaluate(path, model="m", base_url=server.url, to_the_end=True)
    assert (whole.passed, whole.sets[0].unneeded, len(server.requests)) == (True, 0, 140)
    assert whole.sets[0].verdicts[0].stopping == result.sets[0].verdicts[0].stopping
    assert "look 2 of 5, with 40 of 100 cases" in run(server, str(path))


def test_a_sequential_drop_stops_and_is_repeated_by_a_replay(server):
    names = tuple(f"w{number}" for number in range(100))
    paired = '[[gates]]\nmax_drop = 0.2\nagainst = "baseline"\nconfidence = 0.95\nsequential = "pocock"\n'
    path = write_set(expected=names, asked=names, toml=paired)
    before = evaluate(path, model="old", base_url=server.url)
    assert before.sets[0].unneeded == 0
    result = evaluate(path, model="m", base_url=server.url, baseline=before.run.id)
    assert (result.passed, result.sets[0].unneeded, len(server.requests)) == (True, 60, 140)
    replayed = evaluate(path, model=f"replay:{result.run.id}", baseline=before.run.id)
    assert replayed.sets[0].verdicts[0].status == "pass"
