"""Jobs, events and checkpoints from any server: read, or refused with a reason, never a crash."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.training.job import UnexpectedShape, read_checkpoint, read_event, read_job

JOB = {
    "object": "fine_tuning.job",
    "id": "ftjob-1",
    "status": "running",
    "model": "gpt-4o-mini-2024-07-18",
    "created_at": 1_760_000_000,
    "finished_at": None,
    "fine_tuned_model": None,
    "training_file": "file-1",
    "validation_file": None,
    "hyperparameters": {"n_epochs": "auto"},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 8}}},
    "seed": 7,
    "trained_tokens": None,
    "result_files": [],
    "error": {"code": None, "message": None, "param": None},
    "metadata": {"finetune_nonce": "abc"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(sorted(JOB)), inner),
    max_leaves=20,
)


def test_a_job_is_read():
    job = read_job(JOB)
    assert (job.id, job.status, job.has_ended, job.seed) == ("ftjob-1", "running", False, 7)
    assert job.created_at == datetime.fromtimestamp(1_760_000_000, UTC)
    assert job.hyperparameters == {"n_epochs": 3, "batch_size": 8}
    assert job.metadata == {"finetune_nonce": "abc"}
    assert (job.fault, job.fine_tuned_model, job.trained_tokens) == (None, "", None)


@pytest.mark.parametrize("status", ["defrosting", "Succeeded", "done"])
def test_an_unknown_status_is_not_final(status):
    assert not read_job({**JOB, "status": status}).has_ended


def test_an_empty_status_is_refused():
    with pytest.raises(UnexpectedShape):
        read_job({**JOB, "status": ""})


def test_a_succeeded_job_without_a_model_id_has_not_ended():
    assert not read_job({**JOB, "status": "succeeded", "fine_tuned_model": None}).has_ended


@pytest.mark.parametrize(
    "status", ["succeeded", "failed", "cancelled", "validating_files", "queued", "running", "paused"]
)
def test_only_three_statuses_are_final(status):
    job = read_job({**JOB, "status": status, "fine_tuned_model": "ft:m"})
    assert job.has_ended is (status in {"succeeded", "failed", "cancelled"})


@given(JSON)
def test_any_json_is_read_or_refused(value):
    for read in (read_job, read_event, read_checkpoint):
        with suppress(UnexpectedShape):
            read(value)


@given(st.dictionaries(st.sampled_from(sorted(JOB)), JSON))
def test_a_job_with_odd_fields_keeps_its_id_and_status(odd):
    job = read_job({**JOB, **odd, "id": "ftjob-1", "status": "running"})
    assert (job.id, job.status) == ("ftjob-1", "running")


def test_a_checkpoint_keeps_only_numbers():
    value = {
        "id": "ftckpt-1",
        "fine_tuned_model_checkpoint": "ft:m:ckpt-step-5",
        "step_number": 5,
        "created_at": 1,
        "metrics": {"step": 5, "train_loss": 0.5, "valid_loss": None, "full_valid_loss": float("nan")},
    }
    checkpoint = read_checkpoint(value)
    assert (checkpoint.model, checkpoint.step, checkpoint.metrics) == (
        "ft:m:ckpt-step-5",
        5,
        {"step": 5.0, "train_loss": 0.5},
    )
