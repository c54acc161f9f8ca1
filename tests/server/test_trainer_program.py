"""The trainer as a program: its help, its errors, and the files in its folder."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.server.trainer.__main__ import main
from pytest_finetune.server.trainer.job import read_training_job, schedule
from pytest_finetune.server.trainer.progress import ProgressFile, Stopped, read_progress


def write(folder, **job):
    (folder / "job.json").write_text(json.dumps(job), "utf-8")


def test_paths_in_a_job_are_relative_to_its_folder(tmp_path):
    write(tmp_path, training_file="train.jsonl", validation_file="/data/valid.jsonl")
    job = read_training_job(tmp_path)
    assert job.training_file == tmp_path / "train.jsonl"
    assert str(job.validation_file) == "/data/valid.jsonl"
    assert job.weights_cache is None


@pytest.mark.parametrize("job", [{}, {"training_file": "x", "epoch": 1}, {"training_file": "x", "epochs": 0}])
def test_an_invalid_job_is_refused(tmp_path, job):
    write(tmp_path, **job)
    with pytest.raises(TrainingError, match="the job cannot be read"):
        read_training_job(tmp_path)


def test_without_a_job_it_cannot_be_started(tmp_path):
    done = CliRunner().invoke(main, [str(tmp_path)])
    assert done.exit_code == 2
    assert "job.json: the job cannot be read" in done.output


def test_an_incomplete_last_line_is_dropped(tmp_path, capsys):
    path = tmp_path / "progress.jsonl"
    ProgressFile(path).append(Stopped(kind="paused", step=3))
    with path.open("a") as file:
        file.write('{"kind": "fin')
    assert [event.kind for _, event in read_progress(path, 0)] == ["paused"]
    ProgressFile(path).append(Stopped(kind="finished", step=4))
    assert [event.kind for _, event in read_progress(path, 0)] == ["paused", "finished"]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_progress_is_read_from_an_offset(tmp_path):
    path = tmp_path / "progress.jsonl"
    assert list(read_progress(path, 0)) == []
    progress = ProgressFile(path)
    progress.append(Stopped(kind="paused", step=1))
    ((offset, _),) = read_progress(path, 0)
    progress.append(Stopped(kind="paused", step=2))
    assert [event.step for _, event in read_progress(path, offset)] == [2]


def test_a_line_that_is_not_an_event_is_refused(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text('{"kind": "unheard of"}\n', "utf-8")
    with pytest.raises(ValidationError):
        list(read_progress(path, 0))


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 94, 1000])
def test_the_learning_rate_rises_then_falls_and_is_never_zero(steps):
    rates = [schedule(step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == 1
    top = rates.index(1)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
