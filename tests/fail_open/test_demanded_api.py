"""Answers that came over another API than the project demands are no evidence for a promotion."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from successor_server import SuccessorServer

from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GATE = "[[gates]]\nmin = 0.9\n"
BASE = "gpt-4.1-mini"
CONFIGURED = "finetune_api = responses\n"


@pytest.fixture
def server():
    with SuccessorServer() as server:
        yield server


@pytest.fixture
def registry(pytester):
    backend = FileBackend(pytester.path / "registry.json")
    backend.update(Change("add", "v1", who="test", entry=Entry(model_id=BASE, created_at=NOW)), now=NOW)
    return backend


def status(registry):
    return registry.read().entries["v1"].status.value


@pytest.mark.parametrize(
    ("project", "session"),
    [
        ("", ["--finetune-api=responses"]),
        ("", ["-o", "finetune_api=responses"]),
        (CONFIGURED, ["--finetune-api=chat"]),
        (CONFIGURED, ["-o", "finetune_api="]),
    ],
    ids=str,
)
def test_a_session_over_another_api_promotes_nothing(suite, evaluate, registry, pytester, project, session):
    pytester.makeini(f"[pytest]\n{project}")
    suite(3, toml=GATE)
    result = evaluate("--promote", *session, model=BASE)
    assert result.ret != 0
    assert status(registry) == "candidate"
    assert evaluate("--promote", model=BASE).ret == 0
    assert status(registry) == "production"


@pytest.mark.usefixtures("registry")
def test_the_refusal_names_the_api(suite, evaluate):
    suite(3, toml=GATE)
    result = evaluate("--promote", "--finetune-api=responses", model=BASE)
    result.stdout.fnmatch_lines(["*the session sent its requests to the responses API (--finetune-api)*"])


@pytest.mark.parametrize(
    ("project", "toml", "session"),
    [
        (CONFIGURED, "", []),
        (CONFIGURED, "", ["--finetune-api=responses"]),
        ("", '[request]\napi = "responses"\n', ["--finetune-api=responses"]),
    ],
    ids=str,
)
def test_a_session_over_the_api_of_the_project_promotes(
    suite, evaluate, registry, server, pytester, project, toml, session
):
    pytester.makeini(f"[pytest]\n{project}")
    suite(3, toml=GATE + toml)
    assert evaluate("--promote", *session, model=BASE).ret == 0
    assert {each.path for each in server.requests} == {"/v1/responses"}
    assert status(registry) == "production"


def test_a_demanded_api_differs_from_one_that_only_one_model_has(suite, evaluate, registry):
    """The settings name it for every request but those to one pattern, which the option overrides."""
    suite(3, toml=GATE + f'[request]\napi = "responses"\n[models."{BASE}".request]\napi = "chat"\n')
    assert evaluate("--promote", "--finetune-api=responses", model=BASE).ret != 0
    assert status(registry) == "candidate"
