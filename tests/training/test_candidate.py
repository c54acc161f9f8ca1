"""The result of a job is added to the registry once, completely, and under a free name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.evaluation.configured_prices import parse_prices
from pytest_finetune.lifecycle.registry import FileBackend, verify
from pytest_finetune.lifecycle.training.candidate import add_candidate, entry_of, next_version
from pytest_finetune.lifecycle.training.job import FineTuningJob
from pytest_finetune.lifecycle.training.job_records import JobFile, JobRecord, TrainingRequest
from pytest_finetune.lifecycle.training.money import TrainingPrices

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OPENAI, HERE = "https://api.openai.com/v1", "http://127.0.0.1:8000/v1"
MINI = "gpt-4.1-mini-2025-04-14"


def job(**changes):
    facts = {
        "id": "ftjob-1",
        "status": "succeeded",
        "model": MINI,
        "fine_tuned_model": f"ft:{MINI}:acme::1",
        "finished_at": NOW,
        "training_file": "file-1",
        "validation_file": "file-2",
        "hyperparameters": {"n_epochs": 3, "batch_size": "auto"},
        "seed": 7,
        "trained_tokens": 1_500_000,
        "metadata": {"training_sha256": "c" * 64},
    }
    return FineTuningJob(**{**facts, **changes})


def record(base_url=OPENAI, **changes):
    training = JobFile(path="train.jsonl", bytes=3, sha256="a" * 64)
    wanted = TrainingRequest(base_url=base_url, model=MINI, training=training)
    return JobRecord(**{"nonce": "n", "created_at": NOW, "base_url": base_url, "wanted": wanted, **changes})


@pytest.fixture
def backend(tmp_path):
    return FileBackend(tmp_path / "registry.json")


def add(backend, entry, version=""):
    return add_candidate(backend, entry, version=version, who="ada", now=NOW)


def test_an_entry_has_all_known_facts():
    entry = entry_of(job(), record(), {"valid_loss": 0.5})
    assert (entry.model_id, entry.base_model, entry.job_id) == (f"ft:{MINI}:acme::1", MINI, "ftjob-1")
    assert (entry.training_file.path, entry.training_file.sha256) == ("train.jsonl", "a" * 64)
    assert entry.hyperparameters == {"n_epochs": 3, "seed": 7}
    assert (entry.trained_tokens, entry.training_cost) == (1_500_000, Decimal("7.5"))
    assert (entry.metrics, entry.created_at, entry.base_url) == ({"valid_loss": 0.5}, NOW, OPENAI)


def test_a_job_started_elsewhere_is_described_by_its_metadata():
    entry = entry_of(job(), record(wanted=None), {})
    assert (entry.training_file.path, entry.training_file.sha256) == ("file-1", "c" * 64)
    assert (entry.validation_file.path, entry.validation_file.sha256) == ("file-2", "")


def test_adding_a_candidate_again_changes_nothing(backend):
    entry = entry_of(job(), record(), {})
    first, second, third = add(backend, entry, "v7"), add(backend, entry, "v7"), add(backend, entry)
    assert [(one.version, one.is_new) for one in (first, second, third)] == [("v7", True), ("v7", False), ("v7", False)]
    registry = backend.read()
    assert (registry.seq, verify(registry)) == (1, [])
    assert registry.entries["v7"].status == "candidate"


def test_the_error_for_a_taken_name_suggests_a_free_one(backend):
    add(backend, entry_of(job(), record(), {}), "v7")
    with pytest.raises(RegistryError, match="v7 is already ft:") as caught:
        add(backend, entry_of(job(id="ftjob-2", fine_tuned_model="ft:other"), record(), {}), "v7")
    assert "--version v8" in caught.value.hint


@pytest.mark.parametrize(
    ("taken", "following"), [((), "v1"), (("v1",), "v2"), (("v1", "v9", "w3"), "v10"), (("v1.2", "best"), "v1")]
)
def test_the_next_name_follows_all_taken_ones(taken, following):
    assert next_version(taken) == following


@pytest.mark.parametrize(
    ("base_url", "model", "rate"),
    [
        (OPENAI, MINI, Decimal(5)),
        (OPENAI, "gpt-unheard-of", None),
        (HERE, "smollm2-135m", Decimal(0)),
        (HERE, MINI, Decimal(5)),
        ("https://models.example/v1", MINI, None),
    ],
)
def test_a_price_is_known_free_or_unknown_and_never_guessed(base_url, model, rate):
    assert TrainingPrices(base_url).rate(model) == rate


@pytest.mark.parametrize("base_url", [OPENAI, HERE, "https://models.example/v1"])
def test_a_configured_price_wins_on_every_server(base_url):
    prices = TrainingPrices(base_url, parse_prices([f"{MINI} training = 4", "my-* training = 0.5"]))
    assert (prices.rate(MINI), prices.rate("my-base")) == (4, Decimal("0.5"))
    assert prices.cost("my-base", 3_000_000) == Decimal("1.5")


def test_uncounted_tokens_have_no_price():
    assert TrainingPrices(OPENAI).cost(MINI, None) is None
    assert TrainingPrices(HERE).cost("smollm2-135m", None) == 0
