"""The whole migration against a scripted account: from the inventory to production, and after the old model is gone."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from account_server import OLD, STORED, AccountServer
from click.testing import CliRunner
from server_process import BASE, ServerProcess, needs_training, tiny_job, upload, wait_for_job
from successor_server import LUNA

from pytest_finetune.cli import main

CASES = 150


@pytest.fixture
def account(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfinetune_prices =\n    gpt-6-luna = 0.1, 0.5\n", "utf-8")
    (tmp_path / "app.py").write_text(f'MODEL = "{OLD}"\n', "utf-8")
    (tmp_path / "eval_sets").mkdir()
    rows = [{"id": f"c{n}", "input": f"ticket {n}", "expected": f"ticket {n}"} for n in range(CASES)]
    (tmp_path / "eval_sets/tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    gates = '[[gates]]\nmin = 0.9\n\n[[gates]]\nagainst = "production"\nmax_drop = 0.03\nconfidence = 0.95\n'
    settings = f"[request]\nmax_tokens = 50\n\n[stability]\nrepeats = 2\n\n{gates}"
    (tmp_path / "eval_sets/tickets.toml").write_text(settings, "utf-8")
    with AccountServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def call(*words, code=0):
    result = CliRunner().invoke(main, words, prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.stdout


def migrate(*words, code=1):
    return json.loads(call("migrate", "--json", "--repeats=2", "--margin=0.03", *words, code=code))


def states(found):
    return {step["step"]: step["state"] for step in found["steps"]}


def next_command(found):
    (step,) = [step for step in found["steps"] if step["state"] == "next"]
    return step["command"]


def follow(command, **values):
    """Run a printed command, with its placeholders replaced."""
    for name, value in values.items():
        command = command.replace(name, value)
    return call(*shlex.split(command)[1:])


def test_without_a_terminal_nothing_is_sent_and_the_next_step_is_named(account):
    found = migrate()
    assert found["model"] == OLD
    assert states(found) == {
        "inventory": "done",
        "record": "next",
        "candidates": "done",
        "judge": "later",
        "distil": "later",
        "promote": "later",
    }
    assert next_command(found) == f"pytest-finetune migrate record {OLD}"
    assert account.asked == []
    text = call("migrate", code=1)
    assert text.splitlines()[-1] == f"next: pytest-finetune migrate record {OLD}"


@pytest.mark.slow
def test_the_guide_leads_from_the_inventory_to_production_and_the_evidence_survives_the_model(account):
    # Record the old model, which is in production.
    run = json.loads(call("migrate", "record", OLD, "--repeats=2", "--json"))["recorded"][0]["run"]
    call("registry", "add", "v1", f"--model-id={OLD}")
    call("registry", "promote", "v1", f"--run={run}")

    # Judge the recommended successor: it refuses what the settings ask for, and is asked without.
    assert next_command(migrate()) == f"pytest-finetune migrate judge {run} {LUNA}"
    found = migrate("--ask", "--yes", "--monthly-calls=100000", "-o", "page.md")
    assert account.asked.count(OLD) == CASES * 2
    assert found["comparison"]["ready"] == [LUNA]
    old, new = found["comparison"]["eval_sets"]["eval_sets/tickets.jsonl"]
    assert (old["run"], old["verdict"], new["verdict"], new["same_form"]) == (run, None, "not worse", 1.0)
    page = Path("page.md").read_text("utf-8")
    assert "shutdown on 2027-01-14" in page
    assert "a month" in page
    assert f"- {LUNA}: not worse" in page

    # What is recorded is not asked again. The successor gets a share of the traffic first.
    asked = len(account.asked)
    follow(next_command(migrate("--yes")), VERSION="v2")
    canary = next_command(migrate())
    assert canary == f"pytest-finetune registry canary v2 --traffic=0.05 --run={new['run']}"
    assert len(account.asked) == asked

    # The old model is gone: its recorded answers are still what production is compared with.
    account.gone = True
    account.asked.clear()
    ran = json.loads(call("run", f"--model={LUNA}", "--json"))
    assert [verdict["status"] for verdict in ran["verdicts"]] == ["pass", "pass"]
    assert OLD not in account.asked
    follow(canary)
    promote = next_command(migrate())
    follow(promote)
    found = migrate(code=0)
    assert (states(found)["promote"], states(found)["distil"]) == ("done", "not needed")
    history = json.loads(Path("registry.json").read_text("utf-8"))["entries"]
    assert (history["v1"]["status"], history["v2"]["status"]) == ("deprecated", "production")


def test_production_is_compared_with_its_evidence_even_when_its_run_is_deleted(account):
    run = json.loads(call("run", f"--model={OLD}", "--json", code=1))["run"]
    call("registry", "add", "v1", f"--model-id={OLD}")
    call("registry", "promote", "v1", f"--run={run}")
    account.gone = True
    account.asked.clear()
    for path in sorted(Path(".finetune/runs").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    ran = json.loads(call("run", f"--model={LUNA}", "--json"))
    assert [verdict["status"] for verdict in ran["verdicts"]] == ["pass", "pass"]
    assert OLD not in account.asked


def test_an_interrupted_recording_goes_on_where_it_was(account):
    account.gone = True
    found = migrate("--yes", code=2)
    assert "does not exist" in found["stopped"]
    account.gone = False
    account.asked.clear()
    assert states(migrate("--yes"))["record"] == "done"
    assert account.asked.count(OLD) == CASES * 2


def test_a_model_that_is_gone_without_a_record_leaves_only_an_import(account):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    call("registry", "add", "v1", f"--model-id={OLD}", f"--shutdown-date={yesterday}")
    found = migrate("--yes")
    assert next_command(found) == "pytest-finetune import FILE"
    assert account.asked == []


@pytest.mark.slow
def test_a_successor_that_is_worse_leads_to_training_data_from_stored_completions(account, monkeypatch):
    answers = AccountServer.reply

    def reply(server, request):
        if request.method == "POST" and request.json["model"] == LUNA:
            request = type(request)(
                request.method,
                request.path,
                request.headers,
                request.body,
                {**request.json, "messages": [{"role": "user", "content": "?"}]},
            )
        return answers(server, request)

    monkeypatch.setattr(AccountServer, "reply", reply)
    found = migrate("--yes")
    assert found["comparison"]["ready"] == []
    assert next_command(found) == f"pytest-finetune migrate record {OLD} --prompts=FILE"
    recorded = json.loads(call("migrate", "record", OLD, "--repeats=2", "--stored=10", "--json"))["recorded"]
    assert [one["answers"] for one in recorded] == [CASES * 2, len(STORED)]
    command = next_command(migrate())
    assert command == f"pytest-finetune migrate distil {recorded[1]['run']} train.jsonl"
    call(*shlex.split(command)[1:], code=1)
    rows = [json.loads(line)["messages"] for line in Path("train.jsonl").read_text("utf-8").splitlines()]
    assert [(row[0]["content"], row[1]["content"]) for row in rows] == [(text, f"about {text}") for text in STORED]


def test_prompts_of_a_log_are_answered_and_become_training_data(account):
    old = {"role": "assistant", "content": "old"}
    rows = [
        {"messages": [{"role": "user", "content": "log 0"}, old]},
        {"custom_id": "a", "method": "POST", "body": {"messages": [{"role": "user", "content": "log 1"}]}},
        {"prompt": "log 2"},
        {"input": "log 3"},
    ]
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    recorded = json.loads(call("migrate", "record", OLD, "--prompts=log.jsonl", "--json"))["recorded"]
    call("migrate", "distil", recorded[1]["run"], "train.jsonl", code=1)
    rows = [json.loads(line)["messages"] for line in Path("train.jsonl").read_text("utf-8").splitlines()]
    assert [(row[0]["content"], row[1]["content"]) for row in rows] == [(f"log {n}", f"log {n}") for n in range(4)]


def test_a_row_of_a_log_without_a_prompt_is_named(account):
    Path("log.jsonl").write_text('{"prompt": "a"}\n{"question": "b"}\n', "utf-8")
    result = CliRunner().invoke(main, ["migrate", "record", OLD, "--prompts=log.jsonl"])
    assert result.exit_code == 2
    assert "log.jsonl:2: the row has no prompt; its keys: 'question'" in result.output


def test_options_before_a_subcommand_are_refused(account):
    result = CliRunner().invoke(main, ["migrate", "--yes", "inventory"])
    assert result.exit_code == 2
    assert "unexpected extra argument (inventory)" in result.output


def test_candidates_are_the_recommended_the_registered_and_the_local_ones(account):
    call("registry", "add", "v1", f"--model-id={OLD}")
    call("registry", "add", "v2", "--model-id=ft:gpt-6-luna:acme::zZ")
    call("registry", "add", "v3", "--model-id=gpt-5-mini")
    Path(".finetune/models").mkdir(parents=True)
    Path(".finetune/models/mine.gguf").write_bytes(b"GGUF")
    found = json.loads(call("migrate", "candidates", OLD, "--ask", "--json"))
    assert [(one["model"], one["kind"], one["listed"]) for one in found] == [
        (LUNA, "recommended", True),
        ("ft:gpt-6-luna:acme::zZ", "registry", None),
        ("local:mine", "local", None),
    ]
    assert "recommended by OpenAI" in call("migrate", "candidates", OLD)


def test_without_a_production_in_the_registry_gates_compare_with_the_recorded_answers(account):
    found = migrate("--yes")
    follow(next_command(found), VERSION="v1")
    follow(next_command(migrate()))
    follow(next_command(migrate()))
    assert states(migrate(code=0))["promote"] == "done"


def test_eval_sets_that_are_asked_a_different_number_of_times_are_judged_alike(account):
    rows = [{"id": f"m{n}", "input": f"other {n}", "expected": f"other {n}"} for n in range(CASES)]
    Path("eval_sets/more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    call("run", f"--model={OLD}", code=1)
    found = migrate("--yes")
    assert states(found)["judge"] == "done"
    assert found["comparison"]["ready"] == [LUNA]
    assert (account.asked.count(OLD), account.asked.count(LUNA)) == (CASES * 3, CASES * 3)


@needs_training
def test_a_successor_is_trained_on_recorded_answers_and_judged_on_a_server_of_ones_own(account, tmp_path):
    rows = [{"id": f"s{n}", "input": f"ticket {n}", "expected": f"ticket {n}"} for n in range(2)]
    Path("eval_sets/tickets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    Path("eval_sets/tickets.toml").write_text("[request]\nmax_tokens = 8\n", "utf-8")
    log = [{"prompt": f"order {n * 7919} came late"} for n in range(10)]
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log), "utf-8")
    recorded = json.loads(call("migrate", "record", OLD, "--repeats=1", "--prompts=log.jsonl", "--json"))["recorded"]
    call("migrate", "distil", recorded[1]["run"], "train.jsonl")
    with ServerProcess(tmp_path) as server:
        client = server.client()
        job = tiny_job(client, training_file=upload(client, Path("train.jsonl").read_bytes()))
        tuned = wait_for_job(client, job.id).fine_tuned_model
        url = f"--base-url={server.url}"
        found = json.loads(call("migrate", "candidates", OLD, "--ask", url, "--json"))
        kinds = {one["model"]: one["kind"] for one in found}
        assert (kinds[tuned], kinds[BASE]) == ("account", "server")
        # Ten examples teach nothing: the comparison says so, on the same cases.
        judged = json.loads(call("migrate", "judge", recorded[0]["run"], tuned, url, "--json", code=1))
    old, new = judged["eval_sets"]["eval_sets/tickets.jsonl"]
    assert (old["accuracy"], new["model"], judged["ready"]) == (1.0, tuned, [])
    assert new["verdict"] in ("worse", "undecided")
