"""The key is sent only to servers that the user has named, never to one that only a file of the project names."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

import openai
import pytest
from click.testing import CliRunner
from scripted_server import ScriptedServer

from pytest_finetune import ModelRouter
from pytest_finetune.base.errors import FinetuneError, TargetError
from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.evaluation.targets import ClientTarget
from pytest_finetune.evaluation.targets.key_policy import KEY_SERVERS, refuse_to_send_key
from pytest_finetune.evaluation.targets.openai import OpenAITarget
from pytest_finetune.lifecycle.migration.stored import fetch_stored
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
from pytest_finetune.lifecycle.registry.mlflow_server import MlflowServer, parse_place
from pytest_finetune.lifecycle.registry.sunset import ask_shutdown_dates
from pytest_finetune.lifecycle.setup_checks import _listed_models
from pytest_finetune.lifecycle.target_specs import make_target
from pytest_finetune.lifecycle.training.job_records import JobRecord, JobStore
from pytest_finetune.lifecycle.training.service import FineTuning

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FOREIGN = "https://models.example.net/v1"
PLAIN = "http://models.example.net/v1"
KEY = "sk-secret-0123456789"
REFUSED = "has not been allowed to receive the API key|unencrypted"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


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


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    "server",
    [
        FOREIGN,
        PLAIN,
        "http://api.openai.com/v1",
        "https://api.openai.com.example.net/v1",
        "https://127.0.0.1.example.net/v1",
        "https://localhost.example.net/v1",
        "http://10.0.0.1/v1",
    ],
)
def test_a_server_that_only_the_registry_names_does_not_get_the_key(target, server):
    with pytest.raises(TargetError, match=REFUSED):
        target(server)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("server", ["https://api.openai.com/v1", "http://127.0.0.1:9/v1", "http://localhost:9/v1"])
def test_openais_server_and_this_machine_get_it(target, server):
    assert target(server).base_url == server


@pytest.mark.usefixtures("key")
def test_a_server_that_the_user_names_too_gets_it(target, monkeypatch):
    assert target(FOREIGN, base_url=f"{FOREIGN}/").base_url == FOREIGN
    monkeypatch.setenv("OPENAI_BASE_URL", FOREIGN)
    assert target(FOREIGN).base_url == FOREIGN


def test_without_a_key_any_server_may_be_used(target):
    assert target(FOREIGN).base_url == FOREIGN
    assert target(PLAIN).base_url == PLAIN


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("where", ["option", "environment"])
def test_plain_http_to_another_host_needs_consent(target, monkeypatch, where):
    """Even if the user has named the server: the key could be read in transit."""
    if where == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", PLAIN)
    url = PLAIN if where == "option" else None
    for make in (lambda: OpenAITarget("m", base_url=url), lambda: FineTuning(url), lambda: target(PLAIN, base_url=url)):
        with pytest.raises(TargetError, match=r"unencrypted[\s\S]*FINETUNE_KEY_SERVERS=http://models"):
            make()
    monkeypatch.setenv(KEY_SERVERS, f"https://other.example {PLAIN}/")
    assert OpenAITarget("m", base_url=url).base_url == PLAIN
    assert target(PLAIN, base_url=url).base_url == PLAIN
    FineTuning(url).close()


@pytest.mark.usefixtures("key")
def test_a_retirement_check_sends_no_key_over_plain_http(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", PLAIN)
    with pytest.raises(TargetError, match="unencrypted"):
        ask_shutdown_dates()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"])
@pytest.mark.parametrize("ask", ["sunset", "setup", "stored"])
def test_the_key_of_a_server_on_this_machine_is_not_sent_to_a_proxy(monkeypatch, tmp_path, ask, host):
    calls = {
        "sunset": ask_shutdown_dates,
        "setup": lambda: _listed_models(f"http://{host}:9/v1", "sk-secret"),
        "stored": lambda: fetch_stored("m", tmp_path / "stored.jsonl", limit=1),
    }
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_, **__: 0.0)
    with ScriptedServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://{host}:9/v1")
        with suppress(FinetuneError):
            calls[ask]()
        assert not proxy.requests


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_mlflows_credentials_are_not_sent_over_plain_http(monkeypatch, variable):
    monkeypatch.setattr("pytest_finetune.lifecycle.registry.mlflow_server.find_spec", lambda _: MlflowSpec)
    monkeypatch.setenv(variable, "secret")
    with pytest.raises(FinetuneError, match="unencrypted"):
        MlflowServer(parse_place("http://mlflow.example.net:5000"))
    for place in ("http://127.0.0.1:5000", "https://mlflow.example.net"):
        MlflowServer(parse_place(place))
    monkeypatch.delenv(variable)
    MlflowServer(parse_place("http://mlflow.example.net:5000"))


class MlflowSpec:
    origin = "somewhere"


def test_a_client_of_the_users_sends_no_key_over_plain_http(monkeypatch):
    client = openai.OpenAI(api_key=KEY, base_url=PLAIN)
    with pytest.raises(TargetError, match="unencrypted"):
        ClientTarget("m", client)
    with pytest.raises(TargetError, match="unencrypted"):
        ClientTarget("m", openai.AsyncOpenAI(api_key=lambda: KEY, base_url=PLAIN))
    monkeypatch.setenv(KEY_SERVERS, PLAIN)
    assert ClientTarget("m", client).base_url == PLAIN


@pytest.mark.parametrize(
    ("key", "server"), [(KEY, FOREIGN), (KEY, "http://127.0.0.1:8000/v1"), ("EMPTY", PLAIN), ("none", PLAIN)]
)
def test_a_client_of_the_users_may_use_https_this_machine_or_no_key(key, server):
    assert ClientTarget("m", openai.OpenAI(api_key=key, base_url=server)).base_url == server


@pytest.mark.usefixtures("key")
def test_the_record_of_a_job_does_not_decide_who_gets_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = JobRecord(nonce="n1", created_at=NOW, base_url=FOREIGN, job_id="ftjob-1")
    JobStore(tmp_path / ".finetune" / "jobs").write(record)
    for command in (["watch", "ftjob-1"], ["events", "ftjob-1"], ["cancel", "ftjob-1"]):
        result = CliRunner().invoke(main, ["train", *command])
        assert result.exit_code != 0
        assert "the record of ftjob-1 names the server" in result.output


@pytest.fixture
def router(tmp_path):
    def make(server):
        backend = FileBackend(tmp_path / "registry.json")
        entry = Entry(model_id="m", base_url=server, created_at=NOW)
        backend.update(Change("add", "v1", who="test", entry=entry), now=NOW)
        backend.update(Change("promote", "v1", who="test", why="first", forced=True), now=NOW)
        return ModelRouter(backend)

    return make


QUESTION = {"messages": [{"role": "user", "content": "The box was open."}]}


@pytest.mark.parametrize("server", [FOREIGN, PLAIN])
def test_the_router_gives_no_key_away(router, server):
    """The key is that of the client that embeds the router; the refused call counts as a failure."""
    routed = router(server)
    with (
        openai.OpenAI(api_key=KEY, base_url="https://api.openai.com/v1", max_retries=0) as client,
        pytest.raises(TargetError, match=REFUSED),
    ):
        routed.chat(client, user_id=1, **QUESTION)
    assert [(health.calls, health.failed) for health in routed.status()] == [(1, 1)]


def test_the_router_calls_allowed_servers(router, server, monkeypatch):
    routed = router(server.url)
    with openai.OpenAI(api_key=KEY, base_url="https://api.openai.com/v1", max_retries=0) as client:
        assert routed.chat(client, user_id=1, **QUESTION).choices
    monkeypatch.setenv(KEY_SERVERS, FOREIGN)
    refuse_to_send_key(FOREIGN, source="version v1")
