"""`doctor`: what is missing for an evaluation, found before one is paid for."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from scripted_server import Reply, ScriptedServer

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

KEY = "sk-doctor-0123456789"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "eval_sets").mkdir()
    (tmp_path / "eval_sets" / "tickets.jsonl").write_text('{"input": "a", "expected": "b"}\n', "utf-8")
    return tmp_path


@pytest.fixture
def server():
    with ScriptedServer(models=["m", "n"]) as server:
        yield server


def doctor(*words, code):
    result = CliRunner().invoke(main, ["doctor", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output


def checks(*words, code):
    return {
        each["name"]: (each["state"], each["detail"], each["hint"])
        for each in json.loads(doctor(*words, "--json", code=code))
    }


def test_a_project_with_a_server_and_a_known_price_is_in_order(server, folder, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (folder / "pytest.ini").write_text("[pytest]\nfinetune_prices = m = 1, 2\n", "utf-8")
    found = checks(f"--base-url={server.url}", "--model=m", code=0)
    assert {name: state for name, (state, _, _) in found.items()} == {
        "versions": "ok",
        "extras": "ok",
        "plugins": "ok",
        "eval sets": "ok",
        "registry": "-",
        "key": "ok",
        "server": "ok",
        "model": "ok",
        "price": "ok",
    }
    assert found["eval sets"][1].startswith("1 with 1 cases in ")
    assert found["server"][1] == f"{server.url} lists 2 models"
    assert [(request.method, request.path) for request in server.requests] == [("GET", "/v1/models")]


def test_the_key_is_never_shown(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.reply = lambda _: Reply(status=401, body={"error": {"message": f"Incorrect key: {KEY}"}})
    output = doctor(f"--base-url={server.url}", code=1)
    assert KEY not in output
    assert "check OPENAI_API_KEY" in output


def test_openais_server_needs_a_key_and_is_not_requested_without():
    found = checks(code=1)
    assert found["key"][0] == "error"
    assert found["server"] == ("-", "https://api.openai.com/v1: not requested without a key", "")


def test_a_key_is_not_sent_unencrypted(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = checks("--base-url=http://models.acme.example/v1", code=1)
    assert "unencrypted" in found["key"][1]
    assert "unencrypted" in found["server"][1]


def test_a_base_url_without_its_version_is_named(server):
    root = server.url.removesuffix("/v1")
    server.reply = lambda request: (
        ScriptedServer.reply(server, request) if request.path != "/models" else Reply(status=404)
    )
    assert f"the base URL probably ends with /v1: {root}/v1" in checks(f"--base-url={root}", code=1)["server"][2]


def test_a_server_that_is_not_there_is_an_error():
    found = checks("--base-url=http://127.0.0.1:9/v1", code=1)
    assert "no connection" in found["server"][1]


@pytest.mark.parametrize("body", ["<html>hello</html>", {"data": 3}, {"models": []}])
def test_a_body_that_is_no_model_list_is_no_success(server, body):
    server.reply = lambda _: Reply(body=body)
    assert checks(f"--base-url={server.url}", "--model=m", code=1)["server"][0] == "error"


def test_a_model_that_is_not_listed_and_an_unknown_price_are_warnings(server):
    found = checks(f"--base-url={server.url}", "--model=x", code=0)
    assert found["model"] == ("warning", "x is not in the server's list", "it lists, for example, m, n")
    assert found["price"][0] == "warning"


def test_faults_of_eval_sets_and_an_altered_registry_are_errors(server, folder):
    (folder / "eval_sets" / "tickets.jsonl").write_text('{"input": "a"}\n', "utf-8")
    now = datetime(2026, 11, 1, tzinfo=UTC)
    backend = FileBackend(folder / "registry.json")
    backend.update(Change("add", "v1", who="t", entry=Entry(model_id="m", created_at=now)), now=now)
    document = json.loads(backend.path.read_bytes())
    document["entries"]["v1"]["model_id"] = "swapped"
    backend.path.write_text(json.dumps(document), "utf-8")
    found = checks(f"--base-url={server.url}", code=1)
    assert (found["eval sets"][0], found["registry"][0]) == ("error", "error")


def test_a_project_without_eval_sets_is_told_where_they_go(server, folder):
    (folder / "eval_sets" / "tickets.jsonl").unlink()
    assert "looked for eval_sets/*.jsonl" in checks(f"--base-url={server.url}", code=0)["eval sets"][1]


def test_the_text_fits_80_columns(server):
    lines = doctor(f"--base-url={server.url}", "--model=a-model-with-a-very-long-name-indeed", code=0).splitlines()
    assert max(map(len, lines)) <= 80


def test_the_plugin_of_anyio_is_named_with_the_line_that_switches_it_off(folder):
    def found():
        return checks("--base-url=http://127.0.0.1:9/v1", code=1)["plugins"]

    assert found()[1] == "loaded in every pytest session: anyio, html, metadata"
    assert "addopts = -p no:anyio" in found()[2]
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:anyio\n", "utf-8")
    assert found() == ("ok", "loaded in every pytest session: html, metadata", "")
    (folder / "pytest.ini").unlink()
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["-p", "no:anyio"]\n', "utf-8")
    assert found()[2] == ""
