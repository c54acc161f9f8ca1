"""The behaviour that all registry backends share."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from registry_samples import NOON, change, entry_of, evidence_of_run

from pytest_finetune.lifecycle.registry import Registry, RegistryError, Rollout, open_registry, verify, version_for


@pytest.fixture(params=["file", pytest.param("mlflow", marks=pytest.mark.slow)])
def location(request, tmp_path):
    return str(tmp_path / "registry.json") if request.param == "file" else request.getfixturevalue("mlflow_location")


@pytest.fixture
def backend(location):
    return open_registry(location)


def steps(backend, *changes):
    for requested in changes:
        registry = backend.update(change(*requested[:2], **(requested[2] if len(requested) > 2 else {})), now=NOON)
    return registry


def statuses(registry):
    return {version: str(entry.status) for version, entry in registry.entries.items()}


def test_a_missing_registry_is_empty(backend, location):
    assert backend.read() == Registry()
    assert backend.location == location


def test_a_change_of_one_backend_is_read_by_another(backend, location):
    written = steps(
        backend,
        ("add", "v1"),
        ("promote", "v1", {"evidence": evidence_of_run(), "why": "better\nthan none: é, 好"}),
        ("set_rollout", "", {"rollout": Rollout(salt="spring", fallback="v1", error_budget=0.2)}),
    )
    assert open_registry(location).read() == written == backend.read()
    assert verify(written) == []


def test_a_version_passes_through_all_statuses(backend, location):
    registry = steps(
        backend,
        ("add", "v1"),
        ("promote", "v1"),
        ("add", "v2"),
        ("canary", "v2", {"traffic": 0.1}),
        ("promote", "v2"),
        ("add", "v3"),
        ("reject", "v3"),
        ("rollback", ""),
        ("fallback", "v1"),
        ("add", "v4"),
        ("retire", "v4"),
    )
    assert open_registry(location).read() == registry
    assert statuses(registry) == {"v1": "production", "v2": "deprecated", "v3": "rejected", "v4": "deprecated"}
    assert version_for(registry, "production")[0] == "v1"
    assert verify(registry) == []


def test_a_refused_change_changes_nothing(backend, location):
    steps(backend, ("add", "v1"), ("promote", "v1"))
    before = open_registry(location).read()
    with pytest.raises(RegistryError):
        backend.update(change("reject", "v1"))
    with pytest.raises(RegistryError):
        backend.update(change("add", "v1"))
    assert open_registry(location).read() == before


def test_a_change_decided_on_an_older_registry_is_refused(backend, location):
    steps(backend, ("add", "v1"), ("add", "v2"))
    seq = open_registry(location).read().seq
    backend.update(change("promote", "v1"), expected_seq=seq)
    with pytest.raises(RegistryError, match="changed meanwhile: it is now at event 3, and the change was decided at 2"):
        open_registry(location).update(change("promote", "v2"), expected_seq=seq)
    assert statuses(backend.read()) == {"v1": "production", "v2": "candidate"}


def test_a_long_entry_is_stored_completely(backend, location):
    """Longer than a field of a database behind the server."""
    backend.update(change("add", "v1", entry=entry_of("v1", hyperparameters={"note": "é" * 150_000})), now=NOON)
    assert open_registry(location).read().entries["v1"].hyperparameters == {"note": "é" * 150_000}


def test_a_value_that_json_cannot_hold_is_refused_before_anything_is_written(backend, location):
    bad = change("add", "v1", entry=entry_of("v1", metrics={"loss": float("nan")}))
    with pytest.raises(RegistryError, match="cannot be written as JSON"):
        backend.update(bad)
    assert open_registry(location).read() == Registry()


def at_once(location, changes, *, expected_seq=None):
    """Apply the changes at the same moment, each in a thread with its own connection; returns the outcome of each."""
    barrier, outcomes = Barrier(len(changes)), {}

    def run(requested):
        backend = open_registry(location)
        backend.read()
        barrier.wait(60)
        try:
            backend.update(requested, expected_seq=expected_seq)
        except RegistryError as error:
            outcomes[requested.version] = error.problem
        else:
            outcomes[requested.version] = "won"

    threads = [Thread(target=run, args=(requested,), daemon=True) for requested in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return outcomes


def test_one_of_several_concurrent_promotions_wins_and_the_others_are_refused(backend, location):
    versions = [f"v{number}" for number in range(8)]
    seq = steps(backend, *(("add", version) for version in versions)).seq
    outcomes = at_once(location, [change("promote", version) for version in versions], expected_seq=seq)
    winners = [version for version in versions if outcomes[version] == "won"]
    assert len(winners) == 1
    assert all(
        problem.startswith("changed meanwhile") for version, problem in outcomes.items() if version not in winners
    )
    registry = open_registry(location).read()
    assert version_for(registry, "production")[0] == winners[0]
    assert (registry.seq, verify(registry)) == (seq + 1, [])


def test_no_concurrent_addition_is_lost(backend, location):
    versions = [f"v{number}" for number in range(8)]
    outcomes = at_once(location, [change("add", version) for version in versions])
    registry = open_registry(location).read()
    assert outcomes == dict.fromkeys(versions, "won")
    assert (registry.seq, sorted(registry.entries), verify(registry)) == (8, versions, [])
