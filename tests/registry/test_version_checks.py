"""Reasons of the registry itself against a version, independent of its evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from registry_samples import NOON, after, change, evidence_of_run

from pytest_finetune.lifecycle.registry.version_checks import history_faults


def history_of(*changes):
    return after(("add", "v1"), ("add", "v2"), *changes)


def one_model(registry, **facts):
    entries = {name: one.model_copy(update={"model_id": "m"} | facts) for name, one in registry.entries.items()}
    return registry.model_copy(update={"entries": entries})


def test_a_rejected_model_is_refused_under_another_name():
    registry = history_of(change("reject", "v1", why="it invents refunds"))
    (reason,) = history_faults(one_model(registry), "v2", None)
    assert reason == f"v1 is the same model, and was rejected on {NOON:%Y-%m-%d}: it invents refunds"
    assert history_faults(registry, "v2", None) == []


@pytest.mark.parametrize("other", ["http://localhost:9000/v1/", "http://LOCALHOST:9000", "http://[::1]:9000/v1"])
def test_a_rejected_model_is_refused_under_another_spelling_of_its_server(other):
    registry = one_model(history_of(change("reject", "v1", why="it invents refunds")))
    servers = {"v1": "http://127.0.0.1:9000/v1", "v2": other}
    entries = {name: one.model_copy(update={"base_url": servers[name]}) for name, one in registry.entries.items()}
    assert len(history_faults(registry.model_copy(update={"entries": entries}), "v2", None)) == 1


def test_a_fallback_of_the_same_model_under_another_name_is_a_reason():
    registry = history_of(change("canary", "v1", traffic=0.1), change("fallback", "v1", why="9 of 9"))
    (reason,) = history_faults(one_model(registry), "v2", None)
    assert reason.startswith("the router fell back from v1, the same model, on ")


def test_a_local_model_is_the_same_if_its_weights_are():
    judged = evidence_of_run().model_copy(update={"identity": "ab" * 32 + " engine 1"})
    registry = one_model(history_of(change("reject", "v1", why="bad")), model_id="local:tuned", evidence=judged)
    assert len(history_faults(registry, "v2", judged)) == 1
    assert history_faults(registry, "v2", judged.model_copy(update={"identity": "cd" * 32 + " engine 1"})) == []


def test_evidence_that_was_forced_through_is_no_evidence_again():
    judged = evidence_of_run()
    for action, traffic in (("promote", None), ("canary", 0.1)):
        forced = history_of(change(action, "v1", forced=True, why="urgent", evidence=judged, traffic=traffic))
        assert history_faults(forced, "v1", judged) == [
            "its evidence was accepted by --force: name a run that passes, with --run"
        ]
        assert history_faults(forced, "v2", judged) == []
    retired = history_of(change("promote", "v1"), change("retire", "v1", forced=True, why="gone"))
    assert history_faults(retired, "v1", judged) == []


def test_a_fallback_before_the_evaluation_is_no_reason():
    registry = history_of(change("canary", "v1", traffic=0.1), change("fallback", "v1", why="9 of 9"))
    at = registry.history[-1].at
    for closed, count in ((at, 0), (at - timedelta(seconds=1), 1)):
        judged = evidence_of_run().model_copy(update={"closed_at": closed})
        assert len(history_faults(registry, "v1", judged)) == count
    (reason,) = history_faults(registry, "v1", None)
    assert reason == f"the router fell back from it on {at:%Y-%m-%d %H:%M}: 9 of 9"
