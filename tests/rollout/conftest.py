"""Real registry files, and a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_finetune import ModelRouter
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend, Rollout

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class RegistryFile(FileBackend):
    """Registry changes in one line each; every version `vN` is the model `ft:vN`."""

    def step(self, action, version="", **details):
        return self.update(Change(action, version, "tester", **details), now=NOW)

    def add(self, version, **fields):
        entry = Entry(**{"model_id": f"ft:{version}", "created_at": NOW} | fields)
        return self.step("add", version, entry=entry)

    def rollout(self, **fields):
        return self.step("set_rollout", rollout=Rollout(**fields))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def empty_registry(tmp_path):
    return RegistryFile(tmp_path / "registry.json")


@pytest.fixture
def registry(empty_registry):
    """v2 in production, v3 a canary for a tenth of the users; v1, in production before, is the fallback of v2."""
    for version in ("v1", "v2", "v3"):
        empty_registry.add(version)
    empty_registry.step("promote", "v1")
    empty_registry.step("promote", "v2")
    empty_registry.step("canary", "v3", traffic=0.1)
    empty_registry.rollout(fallback="v1", window=60.0)
    return empty_registry


@pytest.fixture
def make_router(registry, clock):
    def make(**options):
        return ModelRouter.from_registry(registry.path, **{"clock": clock, "poll": 1.0} | options)

    return make


@pytest.fixture
def router(make_router):
    return make_router()


@pytest.fixture
def canary_user(router):
    """A user whom the canary serves at the beginning."""
    return next(f"user-{n}" for n in range(1000) if router.model_for(f"user-{n}") == "ft:v3")


@pytest.fixture
def other_user(router):
    """A user whom production serves at the beginning."""
    return next(f"user-{n}" for n in range(1000) if router.model_for(f"user-{n}") == "ft:v2")
