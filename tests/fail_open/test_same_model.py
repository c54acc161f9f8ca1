"""A model compared with itself, under any name or address, passes no gate."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from scripted_server import Reply

from pytest_finetune.evaluation.same_model import TargetAnswers, is_same_server, why_same
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

NOW = datetime(2026, 3, 10, tzinfo=UTC)
AGAINST = '[[gates]]\nmin = 0.5\n[[gates]]\nagainst = "production"\nmax_drop = 0.05\n'
DATED = "gpt-4o-2024-08-06"
URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    "other",
    [
        "http://127.0.0.1:8000/v1/",
        "http://127.0.0.1:8000",
        "http://localhost:8000/v1",
        "http://LOCALHOST:8000/",
        "http://localhost.:8000",
        "http://[::1]:8000/v1",
        "http://[::ffff:127.0.0.1]:8000/v1",
        "http://127.1:8000/v1",
        "http://127.0.0.2:8000/v1",
        "http://0.0.0.0:8000/v1",
        "HTTP://127.0.0.1:8000/v1",
    ],
)
def test_spellings_of_one_address(other):
    assert is_same_server(URL, other)
    assert is_same_server(other, URL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.example.com", "https://API.example.com:443/v1/"),
        ("http://api.example.com/v1", "http://api.example.com:80/"),
        ("https://api.example.com/team/v1", "https://api.example.com/team"),
    ],
)
def test_default_ports_case_and_v1_make_no_difference(one, other, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    assert is_same_server(one, other)


def test_two_host_names_of_one_address_are_one_server(monkeypatch):
    places = {"models.invalid": "10.0.0.5", "gpu.invalid": "10.0.0.5", "other.invalid": "10.0.0.6"}

    def look_up(host, _):
        if host not in places:
            raise socket.gaierror
        return [(0, 0, 0, "", (places[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert is_same_server("https://models.invalid/v1", "https://gpu.invalid")
    assert not is_same_server("https://models.invalid/v1", "https://other.invalid/v1")
    assert not is_same_server("https://unknown.invalid", "https://unknown-too.invalid")


@pytest.mark.parametrize(
    "other", ["http://127.0.0.1:8001/v1", "https://127.0.0.1/v1", "http://127.0.0.1:8000/v2", "", "http://127.x:8000"]
)
def test_other_addresses(other, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    assert not is_same_server(URL, other)


def answers(model, *names, url=URL, identity=""):
    return TargetAnswers(model, url, identity or url, names)


WEIGHTS = "ab" * 32
SAME = {
    "one address": (answers("m"), answers("m", url="http://localhost:8000")),
    "an id of fixed weights, anywhere": (answers("ft:a"), answers("ft:a", url="https://elsewhere.invalid")),
    "an alias and its date": (answers("gpt-4o", DATED), answers(DATED, DATED)),
    "the server named the other": (answers("gpt-4", "gpt-4-0613"), answers("gpt-4-0613", "gpt-4-0613")),
    "two aliases of a date": (answers("gpt-4o", DATED), answers("chatgpt-latest", DATED)),
    "one id in other case": (answers("Acme-7B"), answers("acme-7b")),
    "an alias that nobody resolved": (answers("gpt-4o", "gpt-4o"), answers(DATED, DATED)),
    "an alias without any name": (answers("gpt-4o", ""), answers(DATED, "")),
    "renamed weights": (answers("a", identity=f"{WEIGHTS} 4096"), answers("b", identity=f"{WEIGHTS} 2048")),
}
OTHER = {
    "two models": (answers("a", "a"), answers("b", "b")),
    "another port": (answers("m", "m"), answers("m", "m", url="http://127.0.0.1:8001/v1")),
    "an alias and an earlier date": (answers("gpt-4o", DATED), answers("gpt-4o-2024-05-13", "gpt-4o-2024-05-13")),
    "a server with one name for all": (answers("a", "llama"), answers("b", "llama")),
    "other weights": (answers("a", identity=WEIGHTS), answers("a", identity="cd" * 32)),
    "weights and a server": (answers("a", identity=WEIGHTS), answers("a")),
    "nothing known": (answers("", url=""), answers("", url="")),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_one_model(one, other):
    assert why_same(one, other)
    assert why_same(other, one)


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_two_models(one, other):
    assert why_same(one, other) == why_same(other, one) == ""


def registry_of(pytester, **versions):
    backend = FileBackend(pytester.path / "registry.json")
    for version, fields in versions.items():
        backend.update(Change("add", version, who="test", entry=Entry(created_at=NOW, **fields)), now=NOW)
    backend.update(Change("promote", "v1", who="test", why="first", forced=True), now=NOW)
    return backend


def answering_as(name):
    return lambda body: Reply(body["messages"][-1]["content"], model=name)


def assert_named(result, reason):
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"is the model itself: {reason}" in " ".join(result.stdout.str().split())


@pytest.mark.parametrize("spelling", ["http://localhost:{}/v1"])
def test_production_at_another_spelling_of_its_address(pytester, suite, evaluate, server, spelling):
    port = server.url.rsplit(":", 1)[1].partition("/")[0]
    backend = registry_of(
        pytester, v1={"model_id": "m", "base_url": spelling.format(port)}, v2={"model_id": "m", "base_url": server.url}
    )
    suite(3, toml=AGAINST)
    assert_named(evaluate("--promote", model="registry:v2"), "both are m on one server")
    assert backend.read().entries["v2"].status.value == "candidate"


@pytest.mark.parametrize(("baseline", "model"), [("gpt-4o", DATED), (DATED, "gpt-4o")])
def test_an_alias_and_its_snapshot(suite, evaluate, server, baseline, model):
    server.answer = answering_as(DATED)
    suite(3, toml=AGAINST)
    assert_named(evaluate(f"--baseline={baseline}", model=model), f"both are {DATED} on one server")


def test_a_gate_that_names_the_alias_finds_its_snapshot(suite, evaluate, server):
    server.answer = answering_as(DATED)
    suite(3, toml=AGAINST.replace("production", "gpt-4o"))
    assert_named(evaluate("--baseline=gpt-4o", model=DATED), f"both are {DATED} on one server")


def test_a_record_of_the_alias(suite, evaluate, server):
    server.answer = answering_as(DATED)
    suite(3, toml=AGAINST)
    evaluate(model="gpt-4o")
    assert_named(evaluate("--baseline=replay:last", model=DATED), f"both are {DATED} on one server")


def test_of_two_models_only_the_other_one_is_compared(suite, evaluate):
    suite(3, toml=AGAINST)
    result = evaluate("--model=old", "--baseline=old", model="new")
    assert_named(result, "both are old on one server")
    result.stdout.fnmatch_lines(["old does not ship yet: *", "new ships: *"])
