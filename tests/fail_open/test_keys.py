"""The API key is sent only to servers that the user has named, never to one that only the registry names."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count

import pytest

from pytest_finetune.base.errors import TargetError
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
from pytest_finetune.lifecycle.target_specs import make_target

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FOREIGN = "https://models.example.net/v1"


@pytest.fixture
def target(tmp_path):
    """The target of a registered version on a server."""

    numbers = count()

    def make(server, **options):
        registry = FileBackend(tmp_path / f"registry-{next(numbers)}.json")
        entry = Entry(model_id="m", base_url=server, created_at=NOW)
        registry.update(Change("add", "v1", who="test", entry=entry), now=NOW)
        return make_target("registry:v1", registry=registry, store=RunStore(tmp_path), models=tmp_path, **options)

    return make


@pytest.mark.parametrize(
    "server",
    [FOREIGN, "http://models.example.net/v1", "http://api.openai.com/v1", "https://api.openai.com.example.net/v1"],
)
def test_a_server_that_only_the_registry_names_does_not_get_the_key(target, monkeypatch, server):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with pytest.raises(TargetError, match="has not been allowed to receive OPENAI_API_KEY"):
        target(server)


@pytest.mark.parametrize("server", ["https://api.openai.com/v1", "http://127.0.0.1:9/v1", "http://localhost:9/v1"])
def test_openais_server_and_this_machine_get_it(target, monkeypatch, server):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert target(server).base_url == server


def test_a_server_that_the_user_names_too_gets_it(target, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert target(FOREIGN, base_url=f"{FOREIGN}/").base_url == FOREIGN
    monkeypatch.setenv("OPENAI_BASE_URL", FOREIGN)
    assert target(FOREIGN).base_url == FOREIGN


def test_without_a_key_any_server_may_be_asked(target):
    assert target(FOREIGN).base_url == FOREIGN
