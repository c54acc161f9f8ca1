"""A run keeps copies of its eval sets: byte for byte, found by hash; a failed copy does not stop the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from recorded_runs import Recorder

from pytest_finetune.evaluation.plan import set_plan
from pytest_finetune.evaluation.runs.copies import keep_copies, recorded_set
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    {"id": "a", "input": "Ä?", "expected": {"n": 1}, "tags": ["x"]},
    {"id": "b", "input": "b?", "expected": {"n": 2}},
]
TOML = '# kept, comment and all\nscorer = "json"\nschema = "../schemas/n.json"\n[[gates]]\nmin = 0.5\n'


@pytest.fixture
def eval_set(tmp_path: Path):
    folder = tmp_path / "eval_sets"
    folder.mkdir()
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "n.json").write_text('{"type": "object"}', "utf-8")
    (folder / "t.jsonl").write_bytes(b"".join(json.dumps(row).encode() + b"\r\n" for row in ROWS))
    (folder / "t.toml").write_text(TOML, "utf-8")
    return load_eval_sets([folder / "t.jsonl"], root=tmp_path)[0]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eval_set):
    return Recorder(tmp_path, monkeypatch)("p", plans=[set_plan(eval_set, "m")], closed=False)


def test_cases_settings_and_schema_are_copied_byte_for_byte(run, eval_set, tmp_path):
    keep_copies(run, [eval_set], root=tmp_path)
    names = ["eval_sets/t.jsonl", "eval_sets/t.toml", "schemas/n.json"]
    folder = run.path / "eval_sets"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == names
    assert all((run.path / "eval_sets" / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_the_copy_is_read_if_the_files_are_missing(run, eval_set, tmp_path):
    keep_copies(run, [eval_set], root=tmp_path)
    eval_set.path.unlink()
    eval_set.path.with_suffix(".toml").unlink()
    (tmp_path / "schemas" / "n.json").unlink()
    found = recorded_set(run, run.manifest.eval_sets[0], root=tmp_path)
    assert found.cases == eval_set.cases
    assert found.settings == eval_set.settings
    assert found.problem == ""


def test_without_a_copy_the_unchanged_file_of_today_serves(run, eval_set, tmp_path):
    found = recorded_set(run, run.manifest.eval_sets[0], root=tmp_path)
    assert (found.cases, found.settings) == (eval_set.cases, eval_set.settings)


def test_without_a_copy_a_changed_file_is_refused_with_the_reason(run, eval_set, tmp_path):
    eval_set.path.write_text(json.dumps(ROWS[0]) + "\n", "utf-8")
    found = recorded_set(run, run.manifest.eval_sets[0], root=tmp_path)
    assert found.cases is None
    assert found.problem == "the record has no copy of eval_sets/t.jsonl, and the file has changed since"
    eval_set.path.unlink()
    assert recorded_set(run, run.manifest.eval_sets[0], root=tmp_path).problem.endswith("no longer exists")


def test_an_edited_copy_is_refused(run, eval_set, tmp_path):
    keep_copies(run, [eval_set], root=tmp_path)
    copy = run.path / "eval_sets" / "eval_sets" / "t.jsonl"
    copy.write_bytes(copy.read_bytes().replace(b"b?", b"c?"))
    eval_set.path.unlink()
    assert recorded_set(run, run.manifest.eval_sets[0], root=tmp_path).cases is None


def test_changed_settings_leave_the_cases_readable(run, eval_set, tmp_path):
    eval_set.path.with_suffix(".toml").write_text(TOML.replace("0.5", "0.6"), "utf-8")
    found = recorded_set(run, run.manifest.eval_sets[0], root=tmp_path)
    assert (found.cases, found.settings) == (eval_set.cases, None)


def test_a_set_from_outside_the_root_stays_within_the_run(run, eval_set, tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (outside,) = load_eval_sets([eval_set.path], root=root)
    keep_copies(run, [outside], root=root)
    found = recorded_set(run, set_plan(outside, "m"), root=tmp_path / "elsewhere")
    assert (outside.name, found.cases) == ("../eval_sets/t.jsonl", outside.cases)
    assert (run.path / "eval_sets" / "_up" / "eval_sets" / "t.jsonl").is_file()


def test_copies_are_made_once_and_never_incomplete(run, eval_set, tmp_path):
    keep_copies(run, [eval_set], root=tmp_path)
    eval_set.path.write_text("changed", "utf-8")
    keep_copies(run, [eval_set], root=tmp_path)
    assert recorded_set(run, run.manifest.eval_sets[0], root=tmp_path).cases == eval_set.cases
    assert not list(run.path.rglob("*.tmp"))


def test_a_copy_that_cannot_be_made_is_not_an_error(run, eval_set, tmp_path):
    (run.path / "eval_sets").write_text("in the way", "utf-8")
    keep_copies(run, [eval_set], root=tmp_path)
    assert recorded_set(run, run.manifest.eval_sets[0], root=tmp_path).cases == eval_set.cases
