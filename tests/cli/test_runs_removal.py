"""`runs remove` and `runs prune`: what is removed, and what is kept for a reason."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded_runs import TICKETS
from registry_samples import evidence_of_run
from scripted_server import ScriptedServer, error

from pytest_finetune import RunStore, evaluate
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    Path(TICKETS).parent.mkdir()
    Path(TICKETS).write_text('{"input": "a", "expected": "a"}\n', "utf-8")
    return tmp_path


def record(count=1, answer=lambda _: "a"):
    with ScriptedServer(answer) as server:
        return [evaluate(TICKETS, model="m", base_url=server.url).run.id for _ in range(count)]


def runs(*words, code=0):
    result = CliRunner().invoke(main, ["runs", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output.splitlines()


def left():
    return [path.name for path in RunStore(Path(".finetune", "runs")).newest_first()][::-1]


def make_evidence(run):
    entry = Entry(model_id="m", created_at=NOW, evidence=evidence_of_run(run))
    FileBackend(Path("registry.json")).update(Change("add", "v1", who="t", entry=entry), now=NOW)


def test_named_runs_are_removed_with_their_folders():
    first, second, third = record(3)
    assert runs("remove", first, "last") == [f"removed {first}", f"removed {third}"]
    assert left() == [second]
    assert [path.name for path in Path(".finetune", "runs").iterdir()] == [second]


def test_an_unknown_run_is_an_error_and_nothing_is_removed():
    record()
    assert "no run" in runs("remove", "last", "nothing", code=2)[0]
    assert len(left()) == 1


def test_evidence_of_a_version_is_removed_only_by_force():
    (run,) = record()
    make_evidence(run)
    assert "the evidence of v1 in" in runs("remove", run, code=2)[0]
    assert left() == [run]
    runs("remove", run, "--force")
    assert left() == []


def test_the_newest_runs_are_kept():
    ids = record(4)
    assert runs("prune", "--keep=2", "--dry-run") == [f"would remove {run}" for run in (ids[1], ids[0])]
    assert left() == ids
    runs("prune", "--keep=2")
    assert left() == ids[2:]
    assert runs("prune", "--keep=2") == ["nothing to remove"]


def test_only_runs_older_than_some_days_are_removed():
    record(2)
    assert runs("prune", "--older-than=1") == ["nothing to remove"]
    assert len(runs("prune", "--older-than=0")) == 2
    assert left() == []


def test_open_runs_unreadable_ones_and_evidence_are_kept():
    (evidence,) = record()
    (interrupted,) = record(answer=lambda _: error(401, "no"))
    (broken,) = record()
    make_evidence(evidence)
    Path(".finetune", "runs", broken, "manifest.json").write_text("{", "utf-8")
    kept = {f"kept {evidence}: evidence of a version", f"kept {interrupted}: open", f"kept {broken}: cannot be read"}
    assert set(runs("prune", "--older-than=0")) == {*kept, "nothing to remove"}
    assert left() == [evidence, interrupted, broken]


def test_a_prune_without_a_bound_is_refused():
    record()
    assert "pass --keep, --older-than, or both" in runs("prune", code=2)[-1]
    assert len(left()) == 1


def test_a_run_that_is_being_written_is_refused():
    (run,) = record()
    writing = RunStore(Path(".finetune", "runs")).find(run)
    writing.lock()
    try:
        assert "another session is writing this run" in runs("remove", run, code=2)[0]
    finally:
        writing.release()
    assert left() == [run]


def test_what_is_left_of_an_interrupted_removal_is_no_run(monkeypatch):
    record(2)
    monkeypatch.setattr(shutil, "rmtree", lambda _: (_ for _ in ()).throw(OSError(5, "no more")))
    assert "cannot be removed: no more" in runs("remove", "last", code=2)[0]
    assert len(left()) == 1
    assert len(runs("list")) > 0
