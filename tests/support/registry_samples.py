"""Registries for tests, made by real changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pytest_finetune.evaluation.runs.manifest import VerdictRecord
from pytest_finetune.lifecycle.registry import (
    Change,
    Entry,
    Evidence,
    EvidenceSet,
    Registry,
    Rollout,
    TrainingFile,
    apply,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def entry_of(version="v1", **fields):
    """A candidate with every field filled."""
    known = {
        "model_id": f"ft:gpt-4o-mini:acme::{version}",
        "base_url": "https://api.example.com/v1",
        "base_model": "gpt-4o-mini-2024-07-18",
        "job_id": "ftjob-1",
        "training_file": TrainingFile(path="train.jsonl", sha256="ab" * 32),
        "hyperparameters": {"n_epochs": 3, "lr": 0.1, "nested": {"list": [1, "two", True]}},
        "metrics": {"train_loss": 0.25},
        "created_at": NOON,
        "shutdown_date": NOON + timedelta(days=300),
    }
    return Entry(**(known | fields))


def evidence_of_run(run_id="run-1"):
    """A closed run over one eval set with one gate."""
    verdict = VerdictRecord(eval_set="tickets.jsonl", gate="accuracy>=0.9", status="pass", value=0.95, planned=8)
    eval_set = EvidenceSet(
        name="tickets.jsonl",
        cases=8,
        repeats=1,
        cases_sha256="c" * 64,
        settings_sha256="d" * 64,
        outcomes="ff",
        verdicts=(verdict,),
        metrics={"accuracy": 0.95},
        counts={"passed": 8},
    )
    return Evidence(
        run_id=run_id,
        spec="ft:v1",
        model_id="ft:gpt-4o-mini:acme::v1",
        closed_at=NOON,
        pytest_finetune="0.1.0",
        eval_sets=(eval_set,),
    )


def change(action, version="", **fields):
    """A change by a tester; an `add` brings its entry along."""
    if action == "add":
        fields.setdefault("entry", entry_of(version))
    return Change(action, version, fields.pop("who", "tester"), **fields)


def after(*changes, registry=None):
    """The registry after changes a minute apart; a change may be written as `("promote", "v1")`."""
    registry = registry or Registry()
    for step in changes:
        requested = change(*step) if isinstance(step, tuple) else step
        registry = apply(registry, requested, now=NOON + timedelta(minutes=registry.seq))
    return registry


def eventful():
    """A registry with every kind of event, in which v1 is in production for the second time."""
    return after(
        ("add", "v1"),
        change("promote", "v1", evidence=evidence_of_run()),
        ("add", "v2"),
        change("set_rollout", rollout=Rollout(salt="pepper", fallback="v1", error_budget=0.2)),
        change("canary", "v2", traffic=0.05, why="a first look"),
        change("canary", "v2", traffic=0.2),
        change("promote", "v2", forced=True, why="the eval server is down"),
        change("fallback", "v2", who="router", why="14 of 40 calls failed"),
        change("rollback", why="as the router said"),
        ("reject", "v2"),
        ("add", "v3"),
        ("retire", "v3"),
        ("add", "v4"),
        change("canary", "v4", traffic=0.1),
    )
