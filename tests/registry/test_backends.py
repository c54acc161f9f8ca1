"""What every place that keeps a registry promises alike."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from registry_samples import NOON, change, entry_of, evidence_of_run

from pytest_finetune.lifecycle.registry import Registry, RegistryError, Rollout, open_registry, verify, version_for


@pytest.fixture(params=["file", "mlflow"])
def location(request, tmp_path):
    return str(tmp_path / "registry.json") if request.param == "file" else request.getfixturevalue("mlflow_location")


@pytest.fixture
def backend(location):
    return open_registry(location)


def steps(backend, *changes):
    for asked in changes:
        registry = backend.update(change(*asked[:2], **(asked[2] if len(asked) > 2 else {})), now=NOON)
    return registry


def statuses(registry):
    return {version: str(entry.status) for version, entry in registry.entries.items()}


def test_a_registry_that_is_not_there_is_empty(backend, location):
    assert backend.read() == Registry()
    assert backend.location == location


def test_what_one_writes_another_reads(backend, location):
    written = steps(
        backend,
        ("add", "v1"),
        ("promote", "v1", {"evidence": evidence_of_run(), "why": "better\nthan none: é, 好"}),
        ("set_rollout", "", {"rollout": Rollout(salt="spring", fallback="v1", error_budget=0.2)}),
    )
    assert open_registry(location).read() == written == backend.read()
    assert verify(written) == []


def test_a_version_lives_through_all_its_states(backend, location):
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


def test_a_refused_change_leaves_no_trace(backend, location):
    steps(backend, ("add", "v1"), ("promote", "v1"))
    before = open_registry(location).read()
    with pytest.raises(RegistryError):
        backend.update(change("reject", "v1"))
    with pytest.raises(RegistryError):
        backend.update(change("add", "v1"))
    assert open_registry(location).read() == before


def test_who_decided_on_an_older_registry_is_told(backend, location):
    steps(backend, ("add", "v1"), ("add", "v2"))
    seq = open_registry(location).read().seq
    backend.update(change("promote", "v1"), expected_seq=seq)
    with pytest.raises(RegistryError, match="changed meanwhile: it is at event 3, and the decision was made at 2"):
        open_registry(location).update(change("promote", "v2"), expected_seq=seq)
    assert statuses(backend.read()) == {"v1": "production", "v2": "candidate"}


def test_a_long_entry_is_kept_whole(backend, location):
    """Longer than any one field of a database that may lie below."""
    backend.update(change("add", "v1", entry=entry_of("v1", hyperparameters={"note": "é" * 150_000})), now=NOON)
    assert open_registry(location).read().entries["v1"].hyperparameters == {"note": "é" * 150_000}


def test_what_has_no_place_in_json_is_told_before_anything_is_written(backend, location):
    bad = change("add", "v1", entry=entry_of("v1", metrics={"loss": float("nan")}))
    with pytest.raises(RegistryError, match="cannot be written as JSON"):
        backend.update(bad)
    assert open_registry(location).read() == Registry()


def at_once(location, changes, *, expected_seq=None):
    """One thread a change, each with a connection of its own, all let go together; what each was told."""
    barrier, told = Barrier(len(changes)), {}

    def run(asked):
        backend = open_registry(location)
        backend.read()
        barrier.wait(60)
        try:
            backend.update(asked, expected_seq=expected_seq)
        except RegistryError as error:
            told[asked.version] = error.problem
        else:
            told[asked.version] = "won"

    threads = [Thread(target=run, args=(asked,), daemon=True) for asked in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return told


def test_of_promotions_at_once_one_wins_and_the_others_are_told(backend, location):
    versions = [f"v{number}" for number in range(8)]
    seq = steps(backend, *(("add", version) for version in versions)).seq
    told = at_once(location, [change("promote", version) for version in versions], expected_seq=seq)
    winners = [version for version in versions if told[version] == "won"]
    assert len(winners) == 1
    assert all(problem.startswith("changed meanwhile") for version, problem in told.items() if version not in winners)
    registry = open_registry(location).read()
    assert version_for(registry, "production")[0] == winners[0]
    assert (registry.seq, verify(registry)) == (seq + 1, [])


def test_of_additions_at_once_none_is_lost(backend, location):
    versions = [f"v{number}" for number in range(8)]
    told = at_once(location, [change("add", version) for version in versions])
    registry = open_registry(location).read()
    assert told == dict.fromkeys(versions, "won")
    assert (registry.seq, sorted(registry.entries), verify(registry)) == (8, versions, [])
