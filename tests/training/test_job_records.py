"""Job records: which requests are the same, which jobs may be lost, and the lock between two starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.job_records import (
    REFUSED,
    JobFile,
    JobRecord,
    JobStore,
    TrainingRequest,
    new_nonce,
    read_job_file,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FILE = JobFile(path="train.jsonl", bytes=3, sha256="a" * 64)


def wanted(**changes):
    return TrainingRequest(**{"base_url": "http://127.0.0.1:1/v1", "model": "m", "training": FILE, **changes})


def record(**changes):
    return JobRecord(**{"nonce": new_nonce(), "created_at": NOW, "base_url": "http://127.0.0.1:1/v1", **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"base_url": "http://127.0.0.1:2/v1"},
        {"suffix": "s"},
        {"seed": 1},
        {"hyperparameters": {"n_epochs": 2}},
        {"validation": FILE},
        {"training": FILE.model_copy(update={"sha256": "b" * 64})},
    ],
)
def test_different_requests_have_different_hashes(change):
    assert wanted(**change).sha256 != wanted().sha256


@pytest.mark.parametrize("change", [{"path": "copy.jsonl"}, {"file_id": "file-1"}])
def test_the_path_of_a_file_does_not_change_the_hash(change):
    assert wanted(training=FILE.model_copy(update=change)).sha256 == wanted().sha256


def test_a_record_is_read_back_unchanged(tmp_path):
    store = JobStore(tmp_path / "jobs")
    kept = store.write(
        record(wanted=wanted(hyperparameters={"n_epochs": 3, "learning_rate_multiplier": 0.5, "batch_size": "auto"}))
    )
    assert store.records() == [kept]
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_records_come_newest_first(tmp_path):
    store = JobStore(tmp_path)
    kept = [store.write(record(created_at=NOW + timedelta(hours=hour))) for hour in (2, 1, 3)]
    assert [one.created_at.hour for one in store.records()] == [3, 2, 1]
    assert store.of_job("ftjob-1", kept[0].base_url) is None


@pytest.mark.parametrize(("changes", "pending"), [({}, True), ({"job_id": "j"}, False), ({"status": REFUSED}, False)])
def test_a_job_may_be_lost_until_it_has_an_id_or_was_refused(changes, pending):
    assert record(**changes).is_pending is pending


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "nonce": "x", "surprise": 1}', "\x00"])
def test_an_unreadable_record_is_an_error(tmp_path, text):
    """It may be the record that prevents a second creation of its job."""
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(TrainingError, match=r"broken\.json") as caught:
        JobStore(tmp_path).records()
    assert "train list" in caught.value.hint


def test_two_equal_starts_do_not_run_at_once(tmp_path):
    store, digest = JobStore(tmp_path), wanted().sha256
    with store.locked(digest):
        with pytest.raises(TrainingError, match="another process"), JobStore(tmp_path).locked(digest):
            pass
        with store.locked(wanted(seed=1).sha256):
            pass
    with store.locked(digest):
        pass


def test_a_file_is_identified_by_its_content(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"abc")
    assert read_job_file(path).sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read_job_file(path).bytes == 3
    with pytest.raises(TrainingError, match="cannot be read"):
        read_job_file(tmp_path / "none.jsonl")
