"""The seal of a closed run holds while nothing changes, and detects a change of any value of the manifest."""

from __future__ import annotations

import json

import pytest
from recorded_runs import Recorder, sample

from pytest_finetune.evaluation.runs import Run, VerdictRecord, sample_to_dict
from pytest_finetune.evaluation.runs.samples import sealed_line

UNBOUNDED = VerdictRecord(eval_set="s", gate="latency_p95<=2", status="pass", low=0.5, high=float("inf"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    return Recorder(tmp_path, monkeypatch)("ppm", verdicts=[("accuracy>=0.6", "pass")])


def rewrite(run, change):
    """The run after an edit of its manifest."""
    path = run.path / "manifest.json"
    values = json.loads(path.read_text("utf-8"))
    change(values)
    path.write_text(json.dumps(values), "utf-8")
    return Run.load(run.path)


def leaves(value, path=()):
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def test_the_layout_of_the_manifest_does_not_break_the_seal(run):
    assert Run.load(run.path).seal_fault == ""
    assert rewrite(run, lambda values: values).seal_fault == ""


def test_an_unbounded_interval_does_not_break_the_seal(tmp_path, monkeypatch):
    run = Recorder(tmp_path, monkeypatch)("ppm", closed=False)
    run.update(closed=True, verdicts=(UNBOUNDED,))
    assert Run.load(run.path).seal_fault == ""


def test_any_change_of_a_text_or_number_in_the_manifest_is_detected(run):
    before = json.loads((run.path / "manifest.json").read_text("utf-8"))
    changed = {str: lambda text: f"{text}x", int: lambda number: number + 1}
    seen = []
    for path, value in leaves(before):
        if type(value) not in changed or path in {("format",), ("created_at",), ("closed_at",)}:
            continue

        def change(values, path=path, value=value):
            for key in path[:-1]:
                values = values[key]
            values[path[-1]] = changed[type(value)](value)

        assert "manifest.json changed" in rewrite(run, change).seal_fault, path
        seen.append(path)
        (run.path / "manifest.json").write_text(json.dumps(before), "utf-8")
    assert ("verdicts", 0, "status") in seen


def test_a_record_from_before_rules_were_kept_is_read_and_fits_its_seal(run):
    def as_before(values):
        for verdict in values["verdicts"]:
            del verdict["rule"], verdict["baseline"]

    older = rewrite(run, as_before)
    assert older.seal_fault == ""
    assert [(verdict.rule, verdict.baseline) for verdict in older.manifest.verdicts] == [(None, "")]


def test_missing_samples_are_detected(run):
    (run.path / "samples.jsonl").unlink()
    assert "samples.jsonl changed" in run.seal_fault


def test_lines_added_after_the_run_closed_are_ignored(run):
    before = run.samples()
    run.append(sample_to_dict(sample("case-02", "p")))
    run.release()
    later = Run.load(run.path)
    assert later.seal_fault == ""
    assert later.samples() == before


def test_a_line_written_while_the_run_closes_is_ignored(tmp_path, monkeypatch):
    run = Recorder(tmp_path, monkeypatch)("ppm", closed=False)
    whole = sealed_line(sample_to_dict(sample("case-02", "p")))
    path = run.path / "samples.jsonl"
    with path.open("ab") as file:
        file.write(whole[:40])
    run.update(closed=True)
    with path.open("ab") as file:
        file.write(whole[40:])
    later = Run.load(run.path)
    assert later.seal_fault == ""
    assert [one.state.value for one in later.samples().values()] == ["passed", "passed", "missed"]


def test_a_record_ends_with_the_answers_that_were_judged(tmp_path, monkeypatch):
    """Two processes sent the last request: one answer was judged, the other was written last."""
    run = Recorder(tmp_path, monkeypatch)("ppp", closed=False)
    judged = run.samples()
    run.append(sample_to_dict(sample("case-02", "m")))
    run.settle(judged)
    assert run.samples() == judged


def test_a_run_without_a_sample_is_sealed_too(tmp_path, monkeypatch):
    assert Recorder(tmp_path, monkeypatch)(["."]).seal_fault == ""


def test_an_open_run_has_no_seal(tmp_path, monkeypatch):
    run = Recorder(tmp_path, monkeypatch)("ppm", closed=False)
    assert (run.manifest.seal, run.manifest.samples_sha256) == ("", "")
