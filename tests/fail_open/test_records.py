"""A run has one writer, and its content is private."""

from __future__ import annotations

import os
import subprocess
import sys
from stat import S_IMODE

import pytest
from click.testing import CliRunner
from scripted_server import error

from pytest_finetune.base.errors import RunError
from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import EvalSetPlan, RunStore, TargetInfo

PLAN = EvalSetPlan(
    name="a.jsonl", cases=1, repeats=1, max_errors=0, cases_sha256="a", settings_sha256="b", schema_sha256=""
)
TARGET = TargetInfo(spec="m", model="m", base_url="", identity="")


@pytest.fixture
def run(tmp_path):
    return RunStore(tmp_path / "runs").create(TARGET, [PLAN], folder=tmp_path)


def test_a_second_session_cannot_resume_a_run_that_is_being_written(run, tmp_path):
    with pytest.raises(RunError, match="another session is writing this run"):
        RunStore(tmp_path / "runs").resume(TARGET, [PLAN])


def test_a_released_run_can_be_resumed(run, tmp_path):
    run.release()
    assert RunStore(tmp_path / "runs").resume(TARGET, [PLAN]).id == run.id


def test_only_its_owner_can_read_a_run(run):
    run.append({"case_id": "a"})
    assert S_IMODE(run.path.stat().st_mode) == 0o700
    assert {S_IMODE(file.stat().st_mode) for file in run.path.iterdir()} == {0o600}


def test_a_session_that_resumes_a_run_being_written_is_refused(suite, evaluate, server, pytester):
    suite(40, toml="[[gates]]\nmin = 0.5\n")
    server.latency = 0.5
    options = ("--model=m", f"--model-base-url={server.url}", "--concurrency=1", "-p", "no:randomly")
    first = subprocess.Popen([sys.executable, "-m", "pytest", *options], cwd=pytester.path, stdout=subprocess.DEVNULL)
    try:
        while not server.questions:
            assert first.poll() is None
        result = evaluate("--resume", model="m", subprocess=True)
    finally:
        first.kill()
        first.wait()
    assert result.ret not in (0, pytest.ExitCode.TESTS_FAILED)
    output = result.stdout.str() + result.stderr.str()
    assert "another session is writing this run" in output
    assert "Traceback" not in output


def test_only_its_owner_can_read_the_response_cache(suite, evaluate, pytester):
    suite(3)
    assert evaluate(cache=True).ret == 0
    files = list(pytester.path.rglob("answers.sqlite3*"))
    assert files
    assert {S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("words", [["registry", "list", "--registry=pipe.jsonl"], ["gates", "check", "pipe.jsonl"]])
def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jsonl")
    result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
    assert result.exit_code == 2
    assert "not a regular file" in result.output


def test_a_damaged_record_is_not_resumed(suite, evaluate, server, pytester):
    suite(6, toml="[[gates]]\nmin = 0.5\n")
    server.answer = lambda _: error(401, "no")
    evaluate()
    (record,) = pytester.path.glob(".finetune/runs/*/samples.jsonl")
    with record.open("ab") as file:
        file.write(b'{"broken\n{"eval_set": 1}\n')
    result = evaluate("--resume", subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *samples.jsonl:*", "*the record was edited or damaged*"])
