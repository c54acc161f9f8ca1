"""`migrate inventory`: every model in use is listed, with a date or with none known."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from scripted_server import Reply, ScriptedServer

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.migration.inventory import Account, ending, take_inventory
from pytest_finetune.lifecycle.migration.model_mentions import MAX_BYTES, find_mentions
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
from pytest_finetune.lifecycle.registry.entry import Registry

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OLD = "ft:gpt-4.1-mini-2025-04-14:acme:tickets:9Kx2"


class AccountServer(ScriptedServer):
    """An account with two fine-tunes, one of which a job has made, and a failed job; the jobs come on two pages."""

    listed = (
        {"id": OLD, "object": "model"},
        {"id": "ft:gpt-6-luna:acme::zZ", "object": "model", "shutdown_date": "2028-01-01"},
        {"id": "gpt-4o", "object": "model"},
    )
    jobs = (
        {"id": "ftjob-2", "status": "failed", "model": "gpt-4o-2024-08-06", "created_at": 1_790_000_000},
        {
            "id": "ftjob-1",
            "status": "succeeded",
            "model": "gpt-4.1-mini-2025-04-14",
            "fine_tuned_model": OLD,
            "created_at": 1_780_000_000,
        },
    )

    def reply(self, request):
        path, _, query = request.path.partition("?")
        if path == "/v1/models":
            return Reply(body={"object": "list", "data": list(self.listed)})
        if path == "/v1/fine_tuning/jobs":
            second = "after=ftjob-2" in query
            return Reply(body={"object": "list", "data": [self.jobs[second]], "has_more": not second})
        return super().reply(request)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    return tmp_path


def inventory(*words, code=1):
    result = CliRunner().invoke(main, ["migrate", "inventory", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.stdout


def mentions(folder):
    return [(each.model, each.path, each.line) for each in find_mentions(folder)]


def test_models_are_found_in_text_files(folder):
    (folder / "src").mkdir()
    (folder / "src" / "app.py").write_text(f'import os\nMODEL = "{OLD}"  # was gpt-4o-mini.\n', "utf-8")
    (folder / "deploy.yaml").write_text("model: o4-mini-2025-04-16\nother: chatgpt-4o-latest\n", "utf-8")
    assert mentions(folder) == [
        ("o4-mini-2025-04-16", "deploy.yaml", 1),
        ("chatgpt-4o-latest", "deploy.yaml", 2),
        (OLD, "src/app.py", 2),
        ("gpt-4o-mini", "src/app.py", 2),
    ]


@pytest.mark.parametrize("text", ["my-gpt-4o", "o1 = 3", "gpt-based", "x.gpt-4o", "path/gpt-4o", "ft:", "o4minis"])
def test_words_that_are_no_model_ids_are_ignored(folder, text):
    (folder / "a.txt").write_text(text, "utf-8")
    assert mentions(folder) == []


def test_data_binaries_packages_and_ignored_files_are_not_searched(folder):
    for name in ("node_modules/a.js", ".cache/b.txt"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("gpt-4o", "utf-8")
    (folder / "c.bin").write_bytes(b"gpt-4o\0")
    (folder / "d.jsonl").write_bytes(b"gpt-4o\n" + b" " * MAX_BYTES)
    (folder / "gone.txt").symlink_to("nowhere")
    assert mentions(folder) == []
    (folder / "e.txt").write_text("gpt-4o", "utf-8")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".gitignore").write_text("e.txt\nnode_modules\n.cache\n", "utf-8")
    (folder / "f.txt").write_text("gpt-4o", "utf-8")
    assert mentions(folder) == [("gpt-4o", "f.txt", 1)]


def test_registry_account_and_code_are_one_list_with_the_earliest_end_first(folder):
    backend = FileBackend(folder / "registry.json")
    entry = Entry(model_id=OLD, base_model="gpt-4.1-mini-2025-04-14", created_at=NOW)
    backend.update(Change("add", "v1", who="test", entry=entry), now=NOW)
    (folder / "app.py").write_text("gpt-6-luna\ngpt-5-mini\n", "utf-8")
    with AccountServer() as server:
        found = json.loads(inventory("--ask", f"--base-url={server.url}", "--json"))
    assert [(each["model"], each["shutdown_date"], each["found_in"]) for each in found] == [
        ("gpt-5-mini", "2026-12-11", ["app.py:2"]),
        (OLD, "2027-01-14", ["v1 (candidate)", "account", "job ftjob-1 (succeeded)"]),
        ("gpt-4.1-mini-2025-04-14", "2027-01-14", ["job ftjob-1 (succeeded)"]),
        ("gpt-4o-2024-08-06", "2027-01-14", ["job ftjob-2 (failed)"]),
        ("ft:gpt-6-luna:acme::zZ", "2028-01-01", ["account"]),
        ("gpt-6-luna", None, ["app.py:1"]),
    ]
    assert [each["source"] for each in found][-2:] == ["the models endpoint", None]


def test_the_text_names_dates_places_and_the_last_day_of_fine_tuning(folder):
    (folder / "app.py").write_text("gpt-6-luna\n" + "gpt-4o\n" * 5, "utf-8")
    lines = inventory().splitlines()
    assert lines[0] == "gpt-4o"
    assert lines[1].startswith("  is shut down on 2027-01-14 (") or lines[1].startswith("  was shut down on 2027-01-14")
    assert lines[2] == "  in app.py:2, app.py:3, app.py:4 and 2 more"
    assert lines[3:5] == ["gpt-6-luna", "  no shutdown date known"]
    assert lines[-1].endswith("self-serve fine-tuning jobs until 2027-01-06")
    assert "app.py:6" in inventory("-v")


def test_a_project_without_models_says_so(folder):
    assert inventory(code=0) == "no model found\n"


def test_an_unreadable_date_is_not_a_distant_one(folder, monkeypatch):
    monkeypatch.setattr(AccountServer, "listed", ({"id": "ft:gpt-6-luna:a::b", "shutdown_date": "next year"},))
    monkeypatch.setattr(AccountServer, "jobs", ({"id": "j", "status": "failed", "model": "x"},) * 2)
    with AccountServer() as server:
        text = inventory("--ask", f"--base-url={server.url}", code=1)
    assert 'its server\'s shutdown date cannot be read: "next year"' in text


def test_only_models_that_end_within_the_time_are_ending():
    registry = Registry()
    entry = Entry(model_id="ft:gpt-4o-mini-2024-07-18:a::b", created_at=NOW)
    registry = registry.model_copy(update={"entries": {"v1": entry}})
    found = take_inventory(folder=_nowhere(), registry=registry, account=Account())
    assert [each.model for each in ending(found, within=timedelta(days=46), now=NOW)] == [entry.model_id]
    assert ending(found, within=timedelta(days=45), now=NOW) == []


def _nowhere():
    from pathlib import Path

    empty = Path("empty")
    empty.mkdir()
    return empty


def test_an_account_that_does_not_answer_is_an_error():
    with ScriptedServer(lambda _: Reply(status=500)) as server:
        server.models = ()
        result = CliRunner().invoke(main, ["migrate", "inventory", "--ask", f"--base-url={server.url}x"])
    assert result.exit_code == 2
    assert "GET /models" in result.output


def test_on_azure_the_dates_of_azure_are_given(folder, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://acme.openai.azure.com/openai/v1")
    (folder / "app.py").write_text(f"{OLD}\ngpt-4.1-mini\n", "utf-8")
    found = json.loads(inventory("--json"))
    assert [(each["model"], each["shutdown_date"]) for each in found] == [
        ("gpt-4.1-mini", "2026-10-14"),
        (OLD, "2027-10-14"),
    ]
    assert "self-serve" not in inventory()
