"""Shutdown dates: the announced ones, those a server reports, and the versions they affect."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from registry_samples import after, change, entry_of
from scripted_server import Reply, ScriptedServer

from pytest_finetune.base.errors import RegistryError, TargetError
from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.lifecycle.registry.announcements import ANNOUNCED, AZURE_SOURCE, SOURCE
from pytest_finetune.lifecycle.registry.entry import Entry, Registry, Rollout
from pytest_finetune.lifecycle.registry.sunset import (
    ServerDates,
    announced,
    ask_shutdown_dates,
    is_azure,
    retiring_versions,
    shutdown_of,
    unreadable_dates,
)

NOW = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
JANUARY, OCTOBER = date(2027, 1, 14), date(2026, 10, 23)


def entry(model_id="ft:gpt-4o-mini-2024-07-18:acme::9Kx2", **fields):
    return Entry(model_id=model_id, created_at=NOW, **fields)


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("gpt-4o", JANUARY),
        ("gpt-4o-2024-08-06", JANUARY),
        ("gpt-4o-2024-11-20", JANUARY),
        ("gpt-4o-2024-05-13", OCTOBER),
        ("gpt-4o-mini-2024-07-18", JANUARY),
        ("gpt-4.1-2025-04-14", JANUARY),
        ("gpt-4.1-mini", JANUARY),
        ("gpt-4.1-nano-2025-04-14", OCTOBER),
        ("gpt-3.5-turbo-0125", OCTOBER),
        ("gpt-4-1106-preview", OCTOBER),
        ("ft:gpt-4o-mini-2024-07-18:acme::9Kx2", JANUARY),
        ("ft:gpt-4.1-nano-2025-04-14:acme:tickets:9Kx2:ckpt-step-80", OCTOBER),
        ("gpt-5-mini-2025-08-07", date(2026, 12, 11)),
    ],
)
def test_announced_dates_are_found_by_snapshot_family_and_fine_tune(model, day):
    shutdown = announced(model)
    assert shutdown is not None
    assert (shutdown.date, shutdown.source) == (day, SOURCE)


@pytest.mark.parametrize(
    "model",
    [
        "",
        "ft:",
        "gpt-4o-audio-preview-2024-12-17",
        "gpt-4o-transcribe",
        "my-gpt-4o",
        "gpt-4o-mini-tuned",
        "llama",
        "gpt-6",
    ],
)
def test_an_unannounced_model_has_no_shutdown_date(model):
    assert announced(model) is None


def test_each_family_of_the_table_is_found_by_its_own_name():
    assert {model: announced(model).date for model in ANNOUNCED} == dict(ANNOUNCED)


def test_the_id_of_a_fine_tune_names_its_base_model():
    assert base_of("ft:gpt-4o-mini-2024-07-18:acme::9Kx2") == "gpt-4o-mini-2024-07-18"
    assert base_of("local:mine") == "local:mine"


def test_the_servers_date_precedes_the_entrys_and_that_the_announced_one():
    version = entry(shutdown_date=datetime(2027, 3, 1, tzinfo=UTC))
    server = ServerDates({version.model_id: date(2027, 5, 1)})
    found = [shutdown_of(version, server), shutdown_of(version), shutdown_of(entry())]
    assert [(one.date, one.source) for one in found] == [
        (date(2027, 5, 1), "the models endpoint"),
        (date(2027, 3, 1), "the registry"),
        (JANUARY, SOURCE),
    ]


def test_a_version_is_shut_down_with_its_base_model():
    by_id = shutdown_of(entry(), ServerDates({"gpt-4o-mini-2024-07-18": date(2027, 2, 1)}))
    by_field = shutdown_of(entry("tickets-v3", base_model="gpt-4.1-mini-2025-04-14"))
    assert (by_id.date, by_id.model) == (date(2027, 2, 1), "gpt-4o-mini-2024-07-18")
    assert (by_field.date, by_field.model) == (JANUARY, "gpt-4.1-mini-2025-04-14")


AZURE = "https://acme.openai.azure.com/openai/v1"


def test_announced_dates_do_not_apply_to_local_weights():
    assert shutdown_of(entry("local:mine", base_model="gpt-4o")) is None


@pytest.mark.parametrize(
    ("version", "day"),
    [
        (entry("gpt-4o", base_url=AZURE), date(2026, 10, 1)),
        (entry("tickets", base_url=AZURE, base_model="gpt-4.1-mini-2025-04-14"), date(2027, 10, 14)),
        (entry("gpt-4o-mini-2024-07-18.ft-0e20", base_url=AZURE), date(2027, 10, 1)),
        (entry(base_url=AZURE), date(2027, 10, 1)),
    ],
)
def test_azure_has_dates_of_its_own_and_keeps_fine_tunes_longer(version, day):
    found = shutdown_of(version)
    assert (found.date, found.source) == (day, AZURE_SOURCE)


def test_a_deployment_on_azure_whose_model_is_not_known_has_no_date():
    assert shutdown_of(entry("tickets", base_url=AZURE)) is None


def test_the_address_of_azure_is_not_found_in_another_name():
    assert not is_azure("https://openai.azure.com.example.org/v1")


def test_announced_dates_apply_behind_a_gateway():
    assert shutdown_of(entry(base_url="http://127.0.0.1:4000/v1")).date == JANUARY


def registry(**statuses):
    made = {name: entry(status=status) for name, status in statuses.items()}
    return Registry(entries=made)


def test_only_versions_in_use_are_listed():
    found = registry(a="candidate", b="canary", c="production", d="deprecated", e="rejected")
    assert [one.version for one in retiring_versions(found, within=timedelta(days=90), now=NOW)] == ["a", "b", "c"]


def test_the_fallback_of_the_rollout_is_in_use():
    found = registry(a="deprecated", b="deprecated").model_copy(update={"rollout": Rollout(fallback="b")})
    assert [one.version for one in retiring_versions(found, within=timedelta(days=90), now=NOW)] == ["b"]


@pytest.mark.parametrize(("days", "count"), [(54, 0), (55, 1), (0, 0)])
def test_the_time_ahead_is_counted_in_whole_days(days, count):
    assert len(retiring_versions(registry(a="production"), within=timedelta(days=days), now=NOW)) == count


def test_past_shutdowns_are_listed_earliest_first():
    found = Registry(entries={"later": entry(), "gone": entry("gpt-4.1-nano")})
    listed = retiring_versions(found, within=timedelta(0), now=NOW) + retiring_versions(
        found, within=timedelta(days=99), now=NOW
    )
    assert [one.version for one in listed] == ["gone", "gone", "later"]
    assert listed[0].shutdown.days_left(NOW) == -28


def models(*rows):
    return Reply(
        body={"object": "list", "data": [{"object": "model", "created": 1, "owned_by": "x"} | r for r in rows]}
    )


@pytest.fixture
def endpoint(monkeypatch):
    """A server that answers with the given model list."""

    def serve(reply):
        server = ScriptedServer()
        monkeypatch.setattr(server, "reply", lambda _: reply)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        return server

    return serve


def test_dates_are_read_from_the_models_endpoint(endpoint, monkeypatch):
    reply = models(
        {"id": "a", "shutdown_date": "2027-01-14"},
        {"id": "b", "shutdown_date": None},
        {"id": "c"},
        {"id": "d", "shutdown_date": "2027-02-01T00:00:00Z"},
        {"id": "e", "shutdown_date": "some day"},
        {"id": "f", "shutdown_date": 1},
    )
    with endpoint(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        found = ask_shutdown_dates()
        assert found.dates == {"a": JANUARY, "d": date(2027, 2, 1)}
        assert found.unreadable == {"e": '"some day"', "f": "1"}
        assert [(request.method, request.path) for request in server.requests] == [("GET", "/v1/models")]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(status=401, body={"error": {"message": "no such key: sk-secretsecretsecret"}}), "401"),
        (Reply(body={"models": []}), "not a model list"),
        (Reply(body={"object": "list", "data": 3}), "not a model list"),
        (Reply(body="<html>hello</html>"), "not a model list"),
    ],
)
def test_an_unusable_model_list_is_an_error_with_a_remedy(endpoint, monkeypatch, reply, problem):
    with endpoint(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        with pytest.raises(RegistryError, match=rf"(?s)no usable model list: .*{problem}.*omit --ask") as raised:
            ask_shutdown_dates()
    assert "secretsecret" not in str(raised.value)
    assert raised.value.where == "GET /models"
    assert raised.value.hint == "check OPENAI_API_KEY and OPENAI_BASE_URL, or omit --ask"


def test_a_missing_key_is_an_error():
    with pytest.raises(RegistryError, match="OPENAI_API_KEY"):
        ask_shutdown_dates()


@pytest.fixture
def client(monkeypatch):
    """Record how the client is made, and answer with a model list."""
    made = []

    class Client:
        def __init__(self, **options):
            made.append(options)
            self.models = self.with_raw_response = self
            self.text = json.dumps({"data": [{"shutdown_date": "2027-01-14"}, {"id": "a", "shutdown_date": ""}, 3]})

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def list(self):
            return self

    monkeypatch.setattr("openai.OpenAI", Client)
    return made


def test_models_without_an_id_or_a_date_are_ignored(client, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert ask_shutdown_dates() == ServerDates({}, {}, ("a",))
    assert {name: client[0][name] for name in ("base_url", "timeout", "max_retries")} == {
        "base_url": "https://api.openai.com/v1",
        "timeout": 30,
        "max_retries": 2,
    }


def test_a_key_is_not_sent_in_the_clear(client, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://models.acme.example/v1")
    for key in ("", "  "):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        assert ask_shutdown_dates() == ServerDates({}, {}, ("a",))
    monkeypatch.delenv("OPENAI_API_KEY")
    assert ask_shutdown_dates() == ServerDates({}, {}, ("a",))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    client.clear()
    with pytest.raises(TargetError):
        ask_shutdown_dates()
    assert client == []


def test_a_date_that_cannot_be_read_is_reported_for_versions_in_use():
    registry = after(
        change("add", "v1", entry=entry_of("v1", base_model="a", model_id="ft:x")),
        change("add", "v2", entry=entry_of("v2", base_model="a", model_id="a")),
        change("add", "v3", entry=entry_of("v3", base_model="a", model_id="ft:y")),
        ("reject", "v3"),
    )
    told = "the server's shutdown date of a cannot be read: some day"
    assert unreadable_dates(registry, ServerDates({}, {"a": "some day", "b": "1"})) == [f"v1: {told}", f"v2: {told}"]


def test_the_day_of_a_shutdown_is_that_of_utc_unless_it_has_no_zone():
    late = datetime(2027, 1, 14, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert shutdown_of(entry("m", shutdown_date=late)).date == date(2027, 1, 15)
    reported = ServerDates({}, {})
    assert shutdown_of(entry("m"), reported) is None
