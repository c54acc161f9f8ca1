from __future__ import annotations

import json
from copy import deepcopy

import pytest
from registry_samples import NOON, after, change, entry_of, eventful

from pytest_finetune.lifecycle.registry import (
    Entry,
    Event,
    FileBackend,
    Registry,
    RegistryError,
    Rollout,
    VersionStatus,
    read_checked,
    verify,
)
from pytest_finetune.lifecycle.registry.document import read_document, write_document
from pytest_finetune.lifecycle.registry.history import appended, event_sha256, record_json, record_sha256

STATUSES = ("candidate", "canary", "production", "deprecated", "rejected")


def document():
    return json.loads(write_document(eventful()))


def is_found(values):
    """Whether a document is refused on reading or contradicted by its history."""
    try:
        return bool(verify(read_document(json.dumps(values).encode(), "registry.json")))
    except RegistryError:
        return True


def leaves(value, path=()):
    """The paths of all leaves of a document."""
    if isinstance(value, dict | list) and value:
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(child, (*path, key))
    else:
        yield path


def others(value):
    """Other values of the same type, dates included; null becomes values of several types."""
    if value is None:
        return ["candidate", "production", "2026-01-01T00:00:00Z", {"path": "t", "sha256": "0"}]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value / 2]
    if isinstance(value, str):
        statuses = [status for status in STATUSES if value in STATUSES and status != value]
        return [f"{value}x", f"x{value}"[:-1], "", value.replace("2026", "2027"), *statuses]
    return [{"extra": 1.0}, ["extra"]]


def test_an_untouched_registry_is_sound():
    assert not is_found(document())


@pytest.mark.slow
def test_every_single_changed_value_is_found():
    unfound = []
    for path in leaves(document()):
        values = document()
        *parents, last = path
        holder = values
        for key in parents:
            holder = holder[key]
        for other in others(holder[last]):
            if other == holder[last]:
                continue
            original, holder[last] = holder[last], other
            if not is_found(values):
                unfound.append((path, original, other))
            holder[last] = original
    assert unfound == []


@pytest.mark.parametrize("index", range(14))
def test_a_removed_event_is_found(index):
    values = document()
    del values["history"][index]
    assert is_found(values)


@pytest.mark.parametrize("index", range(14))
def test_a_removed_event_is_found_when_the_rest_is_renumbered(index):
    values = document()
    del values["history"][index]
    for number, event in enumerate(values["history"], 1):
        event["seq"] = number
    values["seq"] = len(values["history"])
    # A cut at the end is visible only in what the event did: v4's entry is not as the previous event left it.
    assert is_found(values)


@pytest.mark.parametrize("index", range(13))
def test_swapped_events_are_found(index):
    values = document()
    history = values["history"]
    history[index], history[index + 1] = history[index + 1], history[index]
    assert is_found(values)
    history[index]["seq"], history[index + 1]["seq"] = history[index + 1]["seq"], history[index]["seq"]
    assert is_found(values)


@pytest.mark.parametrize("index", range(14))
def test_a_repeated_event_is_found(index):
    values = document()
    values["history"].insert(index, deepcopy(values["history"][index]))
    assert is_found(values)


@pytest.mark.parametrize("index", range(13))
def test_a_changed_event_with_a_new_hash_breaks_the_next_one(index):
    registry = eventful()
    changed = registry.history[index].model_copy(update={"who": "somebody else"})
    changed = changed.model_copy(update={"hash": event_sha256(changed)})
    history = (*registry.history[:index], changed, *registry.history[index + 1 :])
    assert verify(registry.model_copy(update={"history": history})) == [
        f"history[{index + 1}]: does not follow the event before it: an event was changed, removed or moved"
    ]


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4"])
def test_a_removed_entry_is_found(version):
    values = document()
    del values["entries"][version]
    assert is_found(values)


def test_an_entry_without_a_history_is_found():
    values = document()
    values["entries"]["v5"] = {"model_id": "ft:v5", "created_at": "2026-01-01T00:00:00Z"}
    assert is_found(values)


def test_a_renamed_entry_is_found():
    values = document()
    values["entries"]["v9"] = values["entries"].pop("v4")
    assert is_found(values)


def test_an_event_that_the_rules_forbid_is_found_in_an_intact_chain():
    """A valid chain written by hand, in which a rejected version is promoted."""
    registry = after(("add", "v1"), ("reject", "v1"))
    values = registry.history[-1].model_dump()
    values |= {"seq": 3, "action": "promote", "before": "rejected", "after": "production"}
    entry = registry.entries["v1"].model_copy(update={"status": VersionStatus.PRODUCTION})
    event = Event(**(values | {"previous": registry.history[-1].hash, "entry_sha256": record_sha256(entry)}))
    event = event.model_copy(update={"hash": event_sha256(event)})
    forged = Registry(seq=3, entries={"v1": entry}, history=(*registry.history, event))
    assert verify(read_document(write_document(forged), "registry.json")) == [
        "history[2]: promote v1: is rejected, and promote requires candidate or canary"
    ]


def test_a_finding_names_its_place_in_one_line():
    values = document()
    values["entries"]["v2"]["status"] = "production"
    assert verify(read_document(json.dumps(values).encode(), "registry.json")) == [
        "entries: v1 and v2 are in production at once",
        "entries.v2.status: is production, but rejected by the history",
    ]


def test_hashes_equal_those_of_older_versions():
    """Other hashes would invalidate all registries; a new field does not change them while it has its default."""
    entry = Entry(model_id="ft:a", created_at=NOON, hyperparameters={"n_epochs": 3, "text": "é\n"})
    assert record_json(entry) == (
        '{"created_at":"2026-05-04T12:00:00Z","hyperparameters":{"n_epochs":3,"text":"é\\n"},"model_id":"ft:a"}'
    )
    assert record_sha256(entry) == "5e012404a9dbe33b1a9e91b07846a97450d86af1b25f285b9d9e4e33359a96e4"
    assert after(("add", "v1")).history[0].hash == "b6d22e4bcb664763170e979144eb4fa8a89da2c902743644030717d4ff6093e1"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
def test_a_value_that_json_cannot_hold_is_refused(value):
    with pytest.raises(RegistryError, match="cannot be written as JSON"):
        after(change("add", "v1", entry=entry_of(hyperparameters={"x": [value]})))


def test_a_metric_that_is_not_a_number_is_refused():
    with pytest.raises(RegistryError, match="cannot be written as JSON"):
        after(change("add", "v1", entry=entry_of(metrics={"loss": float("nan")})))


def registry_with(*events, entries=None):
    """A registry whose history has these fields of events, in an intact chain."""
    history = ()
    for number, fields in enumerate(events):
        known = {"seq": number + 1, "at": NOON, "who": "tester", "action": "add", "version": "v1"}
        history = appended(history, Event(**(known | {"entry_sha256": "0" * 64} | fields)))
    return Registry(seq=len(history), entries=entries or {}, history=history)


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([{"action": "invent"}], "history[0]: invent v1: there is no such action"),
        (
            [{"before": "candidate", "after": "candidate"}],
            "history[0]: add v1: records the status candidate before it, but that was none",
        ),
        (
            [{"after": "candidate"}, {"action": "promote", "after": "production"}],
            "history[1]: promote v1: records the status none before it, but that was candidate",
        ),
        ([{}], "history[0]: add v1: records the status none after it"),
        ([{"after": "production"}], "history[0]: add v1: records the status production after it"),
        ([{"after": "candidate", "forced": True}], "history[0]: add v1: is forced without a reason"),
        (
            [
                {"after": "candidate"},
                {"action": "retire", "before": "candidate", "after": "deprecated"},
                {"action": "rollback", "before": "deprecated", "after": "production"},
            ],
            "history[2]: rollback v1: returns to a version that was never in production",
        ),
        (
            [{"after": "candidate"}, {"action": "rollback", "before": "candidate", "after": "production"}],
            "history[1]: rollback v1: is candidate, and rollback requires deprecated",
        ),
    ],
)
def test_a_step_that_breaks_a_rule_is_named(events, problem):
    assert [one for one in verify(registry_with(*events)) if one.startswith("history")] == [problem]


def test_only_the_first_fault_of_a_step_is_named():
    events = [{"after": "candidate"}, {"action": "rollback", "after": "production", "forced": True}]
    (problem,) = [one for one in verify(registry_with(*events)) if one.startswith("history[1]")]
    assert problem == "history[1]: rollback v1: records the status none before it, but that was candidate"


def test_problems_of_entries_come_in_the_order_of_versions():
    registry = after(("add", "v2"), ("add", "v1"))
    entries = {name: one.model_copy(update={"job_id": "x"}) for name, one in registry.entries.items()}
    assert verify(registry.model_copy(update={"entries": entries})) == [
        "entries.v1: was changed outside the history: its hash does not match event 2",
        "entries.v2: was changed outside the history: its hash does not match event 1",
    ]
    both = {name: one.model_copy(update={"status": VersionStatus.PRODUCTION}) for name, one in registry.entries.items()}
    assert verify(registry.model_copy(update={"entries": both, "seq": 1})) == [
        "seq: is 1, but the history has 2 events",
        "entries: v1 and v2 are in production at once",
        "entries.v1.status: is production, but candidate by the history",
        "entries.v2.status: is production, but candidate by the history",
    ]
    assert (
        verify(registry.model_copy(update={"entries": {}}))[0] == "entries.v1: is missing, but candidate by the history"
    )


def test_a_rollout_is_held_to_the_last_event_that_set_it():
    set_twice = after(("add", "v1"), *(change("set_rollout", rollout=Rollout(salt=salt)) for salt in ("one", "two")))
    assert verify(set_twice) == []
    for salt in ("one", "three"):
        altered = set_twice.model_copy(update={"rollout": Rollout(salt=salt)})
        assert verify(altered) == ["rollout: was changed outside the history"]


def test_a_decision_is_refused_with_the_first_problem_and_the_number_of_others(tmp_path):
    registry = after(("add", "v1"), ("add", "v2"))
    backend = FileBackend(tmp_path / "registry.json")
    for altered, more in ((["v1"], ""), (["v1", "v2"], ", and 1 more")):
        entries = {
            name: one.model_copy(update={"job_id": "x"}) if name in altered else one
            for name, one in registry.entries.items()
        }
        backend.path.write_bytes(write_document(registry.model_copy(update={"entries": entries})))
        with pytest.raises(RegistryError) as caught:
            read_checked(backend)
        assert caught.value.problem == (
            "does not agree with its history: entries.v1: was changed outside the history: its hash does not match"
            f" event 1{more}"
        )
        assert caught.value.hint == "see `pytest-finetune registry verify`; restore it from the repository"
    backend.path.write_bytes(write_document(registry))
    assert read_checked(backend) == registry


def test_a_wrong_number_of_an_event_is_named():
    registry = after(("add", "v1"), ("add", "v2"))
    first = registry.history[0].model_copy(update={"seq": 2})
    problems = verify(registry.model_copy(update={"history": (first, *registry.history[1:])}))
    assert problems[0] == "history[0]: seq is 2, expected 1"


def test_a_document_never_holds_what_json_cannot():
    entry = entry_of(metrics={"loss": float("nan")})
    with pytest.raises(ValueError, match="nan"):
        write_document(Registry(entries={"v1": entry}))
