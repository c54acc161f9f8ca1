"""The version in production as a baseline: when it is wanted, and what its evidence can stand in for."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_runs import TICKETS, Recorder
from registry_evidence import AGAINST, GATE, recorded, write_set
from registry_samples import NOON, change

from pytest_finetune.lifecycle.registry import FileBackend, RegistryError
from pytest_finetune.lifecycle.registry import production as in_production
from pytest_finetune.lifecycle.registry.evidence import evidence_of
from pytest_finetune.lifecycle.registry.production import registry_of, stored_baselines, wants_production


@pytest.fixture
def compared(tmp_path):
    return write_set(tmp_path, toml=GATE + AGAINST)


@pytest.fixture
def backend(tmp_path):
    return FileBackend(tmp_path / "registry.json")


def promote(backend, evidence=None):
    for step in (change("add", "v1"), change("promote", "v1", evidence=evidence)):
        backend.update(step, now=NOON)


def test_a_path_is_relative_to_the_root_and_a_server_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(in_production, "open_registry", lambda location: location)
    assert registry_of("a/registry.json", tmp_path) == tmp_path / "a/registry.json"
    assert registry_of("mlflow:http://x#m", tmp_path) == "mlflow:http://x#m"


def test_production_is_wanted_where_a_gate_compares_with_it_and_it_exists(compared, backend, tmp_path):
    plain = write_set(tmp_path, "eval_sets/plain.jsonl")
    assert not wants_production([compared], "registry.json", tmp_path)
    backend.update(change("add", "v0"), now=NOON)
    assert not wants_production([compared], "registry.json", tmp_path)
    promote(backend)
    assert wants_production([plain, compared], "registry.json", tmp_path)
    assert not wants_production([plain], "registry.json", tmp_path)
    assert not wants_production([compared], "registry.json", tmp_path / "eval_sets")


def test_production_is_looked_for_on_a_server_that_no_path_shows(compared, backend, tmp_path, monkeypatch):
    promote(backend)
    monkeypatch.setattr(in_production, "open_registry", lambda _location: backend)
    assert wants_production([compared], "mlflow:http://x#m", tmp_path / "missing")


def test_an_altered_registry_names_no_production(compared, backend, tmp_path):
    promote(backend)
    text = backend.path.read_text("utf-8").replace("ftjob-1", "ftjob-2")
    backend.path.write_text(text, "utf-8")
    with pytest.raises(RegistryError, match="does not agree with its history"):
        wants_production([compared], "registry.json", tmp_path)
    with pytest.raises(RegistryError, match="does not agree with its history"):
        stored_baselines([compared], backend)


def test_evidence_stands_in_for_production_in_all_sets_or_in_none(compared, backend, tmp_path, monkeypatch):
    plain = write_set(tmp_path, "eval_sets/plain.jsonl")
    other = write_set(tmp_path, "eval_sets/other.jsonl", toml=GATE + AGAINST)
    assert stored_baselines([compared], backend) == {}
    run = recorded(Recorder(tmp_path, monkeypatch), compared)
    promote(backend, evidence_of(run, [compared]))
    found = stored_baselines([plain, compared], backend)
    assert list(found) == [TICKETS]
    assert stored_baselines([plain], backend) == {}
    assert stored_baselines([compared, other], backend) == {}
    baseline, stored = found[TICKETS], backend.read().entries["v1"].evidence
    assert (baseline.name, baseline.run, baseline.model) == ("production", stored.run_id, stored.model_id)
    assert (baseline.base_url, baseline.identity, baseline.answered_by) == (
        stored.base_url,
        stored.identity,
        stored.answered_by,
    )
    assert [str(sample.state) for sample in baseline.samples] == ["passed"] * 4 + ["missed"]
    assert Path(run.path).name == stored.run_id


def test_production_without_evidence_is_no_baseline(compared, backend):
    promote(backend)
    assert stored_baselines([compared], backend) == {}
