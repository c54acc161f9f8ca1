"""`batch export` and `batch import`: an offline engine answers the requests, and the run is like any other."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Reply, completion

from pytest_finetune import RunStore
from pytest_finetune.cli import main

PLAN, REQUESTS, OUTPUT = Path("out", "words.plan.json"), Path("out", "words.jsonl"), Path("answers.jsonl")


def invoke(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def export(write_set):
    """Export a plan; returns its requests."""

    def written(*options, **cases):
        write_set(**cases)
        invoke("batch", "export", "--model=org/model-7b", "-o", REQUESTS, *options)
        return [json.loads(line) for line in REQUESTS.read_text("utf-8").splitlines()]

    return written


def answer(rows, path=OUTPUT):
    """What `vllm run-batch` writes: every question is answered with the last word of its prompt."""
    lines = []
    for row in rows:
        text = row["body"]["messages"][-1]["content"].split()[-1]
        response = {"status_code": 200, "request_id": "vllm-batch-1", "body": completion(Reply(text), row["body"])}
        lines.append({"id": "vllm-1", "custom_id": row["custom_id"], "response": response, "error": None})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return lines


def load(*outputs, code=0, options=()):
    return invoke("batch", "import", PLAN, *(outputs or [OUTPUT]), *options, code=code)


def test_the_answers_of_an_engine_make_a_run_like_any_other(export, last, outcomes):
    rows = export(wrong="b")
    assert all((row["method"], row["url"]) == ("POST", "/v1/chat/completions") for row in rows)
    answer(rows[::-1])

    assert "org/model-7b ships: 1 of 1 gates passed" in load().stdout
    run = last()
    assert outcomes() == {"c0": ("passed", "a"), "c1": ("missed", "b"), "c2": ("passed", "c")}
    assert (run.manifest.closed, run.seal_fault, run.manifest.target.model) == (True, "", "org/model-7b")
    assert run.manifest.answered_by == ("org/model-7b",)


def test_requests_and_plan_are_private_and_not_replaced_by_accident(export):
    export()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (REQUESTS, PLAN)} == {0o600}
    before = REQUESTS.read_bytes()

    invoke("batch", "export", "--model=m", "-o", REQUESTS, code=2)
    assert REQUESTS.read_bytes() == before
    invoke("batch", "export", "--model=m", "-o", REQUESTS, "--force")


def test_repeats_are_requests_of_their_own(export, last):
    answer(export("--repeats=3"))
    load()
    assert len(last().samples()) == 9


def test_a_large_plan_stays_one_file(export, monkeypatch):
    from pytest_finetune.lifecycle.batches import request_files

    monkeypatch.setattr(request_files, "MOST_REQUESTS", 2)
    assert len(export()) == 3


def test_the_output_of_another_export_is_refused(export):
    answer(export())
    export("--force")

    assert "the output answers no request of this export" in load(code=2).stderr
    assert not RunStore(Path(".finetune", "runs")).newest_first()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"words": ("a", "b", "other")}, "its cases"),
        ({"toml": "[[gates]]\nmin = 0.1\n"}, "its settings"),
    ],
)
def test_answers_to_an_eval_set_that_has_changed_are_refused(export, write_set, change, named):
    answer(export())
    write_set(*change.get("words", ()), **{key: value for key, value in change.items() if key != "words"})

    text = load(code=2).stderr
    assert f"eval_sets/words.jsonl has changed since the export: {named}" in text
    assert not RunStore(Path(".finetune", "runs")).newest_first()


def test_missing_repeated_unknown_and_broken_lines_are_named_and_are_no_passes(export, last, outcomes):
    lines = answer(export())
    failed = {**lines[2], "response": None, "error": {"message": "out of memory"}}
    kept = [lines[0], lines[0], failed, {**lines[0], "custom_id": "other"}]
    OUTPUT.write_text("".join(json.dumps(line) + "\n" for line in kept) + '{"custom_id": ', "utf-8")
    load(code=1)

    assert {state for state, _ in outcomes().values()} == {"error"}
    assert outcomes()["c2"] == ("error", "out of memory")
    text = "\n".join(last().manifest.warnings)
    for named in ("repeats a request (c0)", "no request that was sent (other)", "no line (c1)", "is not JSON"):
        assert named in text


def test_several_outputs_complete_each_other(export, last):
    rows = export()
    answer(rows[:2])
    load(code=1)
    answer(rows[2:], Path("more.jsonl"))
    load(OUTPUT, Path("more.jsonl"))

    assert last().manifest.closed


def test_a_gate_on_latency_stays_open(export, last):
    answer(export(toml='[[gates]]\nmetric = "latency_p95"\nmax = 100.0\n'))
    load(code=1)
    assert "is not measured" in last().manifest.verdicts[0].message


def test_what_is_not_a_plan_is_refused(export):
    answer(export())
    PLAN.write_text("{}", "utf-8")
    assert "not the plan of an export" in load(code=2).stderr


def test_a_judge_is_asked_one_by_one(export, server, last):
    """The answers come from the file, and only the judge is asked."""
    settings = (
        'type = "judge"',
        'model = "judge-1"',
        'labels = ["good", "bad"]',
        'passes = ["good"]',
        'rubric = "Right?"',
    )
    toml = "\n".join(("[scorer]", *settings))
    rows = export(toml=toml)
    answer(rows)
    load(options=[f"--base-url={server.url}"], code=1)

    assert {body["model"] for body in server.questions} == {"judge-1"}
