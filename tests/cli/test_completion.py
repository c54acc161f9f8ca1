"""A shell completes runs and jobs where a command takes one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.training.job_records import JobRecord, JobStore


@pytest.fixture
def completed(tmp_path, monkeypatch):
    """The completions of some words, in a folder with two runs and two jobs."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("20260101-aaaa", "20260102-bbbb")):
        (tmp_path / ".finetune/runs" / name).mkdir(parents=True)
        (tmp_path / ".finetune/runs" / name / "manifest.json").write_text("{}")
        made = datetime(2026, 1, 1 + number, tzinfo=UTC)
        job = JobRecord(nonce=f"n{number}", created_at=made, base_url="http://localhost:1", job_id=f"ftjob-{number}")
        JobStore(tmp_path / ".finetune/jobs").write(job)

    def complete(words, incomplete=""):
        monkeypatch.setenv("COMP_WORDS", f"pytest-finetune {words} {incomplete}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) + 1))
        monkeypatch.setenv("_PYTEST_FINETUNE_COMPLETE", "bash_complete")
        result = CliRunner().invoke(main, [], prog_name="pytest-finetune", complete_var="_PYTEST_FINETUNE_COMPLETE")
        return [line.removeprefix("plain,") for line in result.output.split()]

    return complete


@pytest.mark.parametrize("words", ["runs show", "runs report", "runs compare", "runs compare last", "diagnose"])
def test_runs_are_completed_newest_first(completed, words):
    assert completed(words) == ["20260102-bbbb", "20260101-aaaa", "last"]
    assert completed(words, "20260101") == ["20260101-aaaa"]


@pytest.mark.parametrize("words", ["train watch", "train cancel"])
def test_jobs_are_completed_newest_first(completed, words):
    assert completed(words) == ["ftjob-1", "ftjob-0"]
    assert completed(words, "ftjob-0") == ["ftjob-0"]


def test_a_broken_record_completes_nothing(completed, tmp_path):
    (tmp_path / ".finetune/jobs/x.json").write_text("{")
    assert completed("train watch") == []
