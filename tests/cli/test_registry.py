"""`pytest-finetune registry`: golden outputs, promotions and their evidence, exit codes, completion."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from recorded_runs import TICKETS, Recorder
from registry_evidence import AGAINST, GATE, MODEL, PASSED, edited, recorded, rewritten, write_set

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import BaselineRecord
from pytest_finetune.lifecycle.registry.sunset import ServerDates

TUNED = "ft:gpt-4o-mini-2024-07-18:acme:tickets:9Kx2"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances by a minute each time it is read."""
    now = SimpleNamespace(at=START)

    def look(zone):
        now.at += timedelta(minutes=1)
        return now.at.astimezone(zone)

    for module in ("changes", "queries", "promoting"):
        monkeypatch.setattr(f"pytest_finetune.cli.registry.{module}.datetime", SimpleNamespace(now=look))
    return now


@pytest.fixture
def record(tmp_path, monkeypatch, clock):
    monkeypatch.chdir(tmp_path)
    return Recorder(tmp_path, monkeypatch)


@pytest.fixture
def tickets(record, tmp_path):
    return write_set(tmp_path)


@pytest.fixture
def registry(record):
    def run(*words, code=0):
        changes = words[0] in {"add", "canary", "promote", "rollback", "reject", "retire"}
        who = ("--who", "ada@acme.example") if changes and "--help" not in words else ()
        result = CliRunner().invoke(main, ["registry", *words, *who], prog_name="pytest-finetune")
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture
def two_versions(registry, record, tickets):
    """v1 in production, v2 a canary for a tenth of the users."""
    registry("add", "v1", "--model-id", MODEL)
    registry("promote", "v1", "--run", recorded(record, tickets).id, "--reason", "first")
    registry("add", "v2", "--model-id", TUNED, "--hyperparameter", "n_epochs=3", "--job-id", "ftjob-1")
    registry("canary", "v2", "--traffic", "0.1", "--run", recorded(record, tickets, "ppppp", spec=TUNED).id)


def as_json(registry, *words, code=0):
    return json.loads(registry(*words, "--json", code=code))


def unfolded(output):
    return " ".join(output.split())


def test_the_list_of_an_empty_registry_says_how_to_add_a_version(registry):
    output = registry("list")
    assert output == "no versions in registry.json; add one: pytest-finetune registry add VERSION --model-id ID\n"
    assert as_json(registry, "list") == []


def test_a_version_is_added_with_its_provenance(registry, tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b"{}\n")
    more = ("--training-file", "train.jsonl", "--job-id", "ftjob-1", "--shutdown-date", "2027-03-01")
    tuned = ("--hyperparameter", "n_epochs=3", "--hyperparameter", "batch_size=auto")
    assert registry("add", "v1", "--model-id", TUNED, *more, *tuned) == "v1: new -> candidate\n"
    shown = as_json(registry, "show", "v1")
    assert shown["training_file"] == {"path": "train.jsonl", "sha256": hashlib.sha256(b"{}\n").hexdigest()}
    assert (shown["base_model"], shown["job_id"]) == ("gpt-4o-mini-2024-07-18", "ftjob-1")
    assert (shown["hyperparameters"], shown["status"]) == ({"n_epochs": 3, "batch_size": "auto"}, "candidate")
    assert shown["shutdown_date"].startswith("2027-03-01")


def test_a_hyperparameter_has_a_name_and_a_value(registry):
    assert "is not NAME=VALUE" in registry("add", "v1", "--model-id", "m", "--hyperparameter", "x", code=2)


def test_a_version_is_promoted_on_a_run_that_passed(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    run = recorded(record, tickets)
    output = registry("promote", "v1", "--run", run.id)
    assert "warning: the run was made with uncommitted changes" in output
    assert output.endswith("v1: candidate -> production\n")
    shown = as_json(registry, "show", "production")
    assert (shown["version"], shown["evidence"]["run_id"]) == ("v1", run.id)
    assert as_json(registry, "history")[0]["why"] == f"run {run.id}"


def test_the_version_that_was_there_is_deprecated(registry, two_versions):
    assert registry("promote", "v2").endswith("v2: canary -> production\nv1: production -> deprecated\n")


def test_all_reasons_against_a_promotion_are_printed_at_once(registry, record, tickets, tmp_path, golden):
    registry("add", "v1", "--model-id", MODEL, "--shutdown-date", "2026-11-05")
    run = recorded(record, tickets, spec="ft:other", answered_by=("third",), verdicts=[("accuracy>=0.6", "fail")])
    write_set(tmp_path, cases=6)
    write_set(tmp_path, "eval_sets/profile.jsonl")
    golden("registry-refused.txt", registry("promote", "v1", "--run", run.id, code=1))
    assert as_json(registry, "show", "v1")["status"] == "candidate"


def test_a_refusal_for_programs(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    refused = as_json(registry, "promote", "v1", "--run", recorded(record, tickets, "ppp", closed=False).id, code=1)
    assert (refused["done"], refused["version"], len(refused["refusals"])) == (False, "v1", 2)


def test_without_evidence_nothing_is_promoted(registry, tickets):
    registry("add", "v1", "--model-id", MODEL)
    for step in (("promote", "v1"), ("canary", "v1", "--traffic", "0.1")):
        assert "there is no evidence yet" in registry(*step, code=1)


def test_force_needs_a_reason_and_stays_in_the_history(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    run = recorded(record, tickets, "ppp", closed=False)
    assert "--force requires a reason" in registry("promote", "v1", "--run", run.id, "--force", code=2)
    output = registry("promote", "v1", "--run", run.id, "--force", "--reason", "the old one burns")
    assert output.endswith("v1: candidate -> production, forced\n")
    event = as_json(registry, "history")[0]
    assert event["forced"]
    assert event["why"].startswith(f"the old one burns; run {run.id}; against: the run is open")
    assert as_json(registry, "show", "v1")["evidence"] is None


def test_force_without_a_refusal_is_recorded_as_not_forced(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    registry("promote", "v1", "--run", recorded(record, tickets).id, "--force", "--reason", "to be safe")
    assert not as_json(registry, "history")[0]["forced"]


def test_a_canary_is_promoted_on_its_own_evidence_while_it_covers_today(registry, two_versions, tmp_path):
    write_set(tmp_path, toml=GATE.replace("0.6", "0.7"))
    refused = as_json(registry, "promote", "v2", code=1)["refusals"]
    assert refused[0] == "eval_sets/tickets.jsonl: settings changed since the run; run it again"
    write_set(tmp_path)
    assert as_json(registry, "promote", "v2")["event"]["after"] == "production"


def test_a_canary_changes_its_share_without_new_evidence(registry, two_versions, tmp_path):
    write_set(tmp_path, cases=7)
    assert registry("canary", "v2", "--traffic", "0.2") == "v2: canary -> canary for 0.2 of users\n"
    assert as_json(registry, "show", "canary")["traffic"] == 0.2


def test_eval_sets_are_left_out_by_force_alone(registry, record, tickets, tmp_path):
    write_set(tmp_path, "eval_sets/profile.jsonl")
    registry("add", "v1", "--model-id", MODEL)
    run = recorded(record, tickets).id
    assert "profile.jsonl: not evaluated" in unfolded(registry("promote", "v1", "--run", run, code=1))
    narrowed = ("promote", "v1", "--run", run, "--eval-sets", "eval_sets/tickets.jsonl")
    assert as_json(registry, *narrowed, code=1)["refusals"] == ["eval_sets/profile.jsonl: left out by --eval-sets"]
    registry(*narrowed, "--force", "--reason", "the profile is tried next week")
    event = as_json(registry, "history")[0]
    assert event["forced"]
    assert "judged by eval_sets/tickets.jsonl only" in event["why"]


def test_a_rollback_goes_back_and_leaves_the_other(registry, two_versions):
    registry("promote", "v2")
    output = registry("rollback", "--reason", "users complain")
    assert output == "v1: deprecated -> production\nv2: production -> deprecated\n"


def test_a_version_is_rejected_for_a_reason(registry, two_versions):
    assert "Missing option '--reason'" in registry("reject", "v2", code=2)
    assert registry("reject", "v2", "--reason", "too slow") == "v2: canary -> rejected\n"
    assert "v1" in registry("reject", "v1", "--reason", "no", code=2)


@pytest.mark.parametrize("reason", ["", " "])
def test_a_rejection_without_a_reason_is_refused(registry, two_versions, reason):
    assert "requires a reason" in registry("reject", "v2", "--reason", reason, code=2)
    assert as_json(registry, "show", "v2")["status"] == "canary"


@pytest.mark.parametrize("url", ["notaurl", "ftp://models.example/v1", "https://ada:secret@models.example/v1"])
def test_a_server_is_named_by_its_url(registry, url):
    output = registry("add", "v1", "--model-id", "m", "--base-url", url, code=2)
    assert "base URL" in output
    assert "secret" not in output


def test_for_a_first_version_the_comparison_with_production_is_waived(registry, record, tmp_path):
    """The history records that the comparison was skipped; the next version has to pass it."""
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    verdicts = (*PASSED, ("flips<=0,vs=production", "incomplete"))
    for version, model in (("v1", MODEL), ("v2", TUNED)):
        registry("add", version, "--model-id", model)
    output = registry("promote", "v1", "--run", recorded(record, eval_set, verdicts=verdicts).id)
    assert "gate flips<=0,vs=production is waived: a first version" in unfolded(output)
    event = as_json(registry, "history")[0]
    assert not event["forced"]
    assert "gate flips<=0,vs=production is waived" in event["why"]
    second = recorded(record, eval_set, spec=TUNED, verdicts=verdicts)
    assert "gate flips<=0,vs=production is incomplete" in unfolded(
        registry("promote", "v2", "--run", second.id, code=1)
    )


def test_a_record_that_was_edited_promotes_nothing(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    run = recorded(record, tickets)
    run = edited(run, totals=run.manifest.totals.model_copy(update={"from_cache": 3}))
    assert "has a broken seal" in unfolded(registry("promote", "v1", "--run", run.id, code=1))


def test_production_is_retired_by_force_alone(registry, two_versions):
    registry("retire", "v1", code=2)
    assert "--force requires a reason" in registry("retire", "v1", "--force", code=2)
    output = registry("retire", "v1", "--force", "--reason", "the service ends")
    assert output == "v1: production -> deprecated, forced\n"


def test_the_error_for_an_unknown_version_lists_the_known_ones(registry, two_versions):
    for command in (("show", "v3"), ("promote", "v3"), ("history", "v3"), ("diff", "v1", "v3")):
        assert "hint: known: canary, candidate, production, v1, v2" in registry(*command, code=2)


def test_the_list_is_a_table(registry, two_versions, golden):
    registry("add", "v3-rc.1", "--model-id", "local:mine")
    output = registry("list")
    golden("registry-list.txt", output)
    assert max(map(len, output.splitlines())) <= 80
    listed = as_json(registry, "list")
    assert [(one["version"], one["status"]) for one in listed] == [
        ("v1", "production"),
        ("v2", "canary"),
        ("v3-rc.1", "candidate"),
    ]
    assert (listed[1]["gates_passed"], listed[1]["shutdown_date"]) == ("1 of 1", "2027-01-14")


def test_a_version_is_shown_with_its_evidence(registry, two_versions, golden):
    golden("registry-show.txt", registry("show", "canary"))


def test_the_history_is_printed_newest_first(registry, two_versions, golden):
    registry("promote", "v1", "--force", "--reason", "again", code=2)
    registry("retire", "v1", "--force", "--reason", "the service ends")
    golden("registry-history.txt", registry("history"))
    assert [event["seq"] for event in as_json(registry, "history", "-n", "2")] == [5, 4]
    assert [event["action"] for event in as_json(registry, "history", "v2")] == ["canary", "add"]
    assert registry("history", "-n", "2").endswith("3 older; -n 5 lists all\n")


def test_a_whole_history_is_sound_and_a_changed_one_is_not(registry, two_versions, tmp_path):
    assert registry("verify") == "registry.json: 4 events, all consistent\n"
    file = tmp_path / "registry.json"
    file.write_text(file.read_text("utf-8").replace('"why": "first', '"why": "fist'), "utf-8")
    assert "was changed after it was written" in registry("verify", code=1)
    checked = as_json(registry, "verify", code=1)
    assert (checked["sound"], len(checked["problems"])) == (False, 1)


def test_two_versions_are_shown_side_by_side(registry, two_versions, golden):
    golden("registry-diff.txt", registry("diff", "production", "v2"))
    differences = as_json(registry, "diff", "v1", "v2")["v1 -> v2"]
    (accuracy,) = (one for one in differences if one["name"] == "accuracy")
    assert accuracy == {"eval_set": TICKETS, "kind": "metric", "name": "accuracy", "a": 0.8, "b": 1.0}
    assert registry("diff", "v1", "v1") == "no differences\n"


def test_two_files_are_shown_side_by_side(registry, two_versions, tmp_path, golden):
    (tmp_path / "before.json").write_bytes((tmp_path / "registry.json").read_bytes())
    registry("promote", "v2")
    registry("add", "v3", "--model-id", "m")
    golden("registry-diff-files.txt", registry("diff", "before.json", "registry.json"))


def test_sunset_lists_retiring_versions_and_exits_with_one(registry, two_versions, golden):
    golden("registry-sunset.txt", registry("sunset", code=1))
    assert registry("sunset", "--within", "10w") == "no version in use has a known shutdown within 70 days\n"
    (gone,) = as_json(registry, "sunset", "--within", "90", code=1)
    assert (gone["version"], gone["days_left"], gone["status"]) == ("v2", 73, "canary")
    assert "must be days or weeks" in registry("sunset", "--within", "soon", code=2)


def test_dates_are_requested_from_the_server(registry, two_versions, monkeypatch):
    monkeypatch.setattr(
        "pytest_finetune.cli.registry.queries.ask_shutdown_dates", lambda: ServerDates({MODEL: START.date()})
    )
    first, second = as_json(registry, "sunset", "--ask", code=1)
    assert (first["version"], first["source"]) == ("v1", "the models endpoint")
    assert (second["version"], second["source"][:6]) == ("v2", "https:")


def test_another_registry_is_named_by_its_path(registry, two_versions, tmp_path):
    assert "no versions" in registry("list", "--registry", "other.json")
    registry("add", "v9", "--model-id", "m", "--registry", "other.json")
    assert (tmp_path / "other.json").exists()


def test_a_mistyped_registry_is_not_an_empty_one(registry, tmp_path):
    output = registry("verify", "--registry", "registri.json", code=2)
    assert "registri.json: the registry does not exist" in unfolded(output)
    assert not (tmp_path / "registri.json").exists()


def test_an_unreadable_registry_is_an_error(registry, tmp_path):
    (tmp_path / "registry.json").write_text("{", "utf-8")
    assert "registry.json" in registry("list", code=2)


def test_the_second_of_two_promotions_decided_on_one_state_is_refused(registry, two_versions, monkeypatch):
    real = "pytest_finetune.lifecycle.registry.assessment.refusals"

    def slow(*_, **__):
        monkeypatch.setattr(real, lambda *_, **__: [])
        registry("reject", "v1", "--reason", "no", code=2)
        registry("canary", "v2", "--traffic", "0.3")
        return []

    monkeypatch.setattr(real, slow)
    assert "changed meanwhile" in registry("promote", "v2", code=2)
    assert as_json(registry, "show", "v2")["status"] == "canary"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("pytest-finetune registry show", ["v1", "v2", "production", "canary"]),
        ("pytest-finetune registry promote", ["v1", "v2", "production", "canary"]),
        ("pytest-finetune registry diff v1", ["v1", "v2", "production", "canary"]),
        ("pytest-finetune registry reject", ["v1", "v2"]),
        ("pytest-finetune registry retire", ["v1", "v2"]),
        ("pytest-finetune registry rollback", ["v1", "v2"]),
        ("pytest-finetune registry rollout --fallback", ["v1", "v2"]),
        (
            "pytest-finetune registry promote v2 --run",
            [
                "20260301T140000.000000-gpt-4o-mini-2024-07-18-acme-tickets-9Kx2-0abc",
                "20260301T130000.000000-ft-gpt-x-2026-01-01-acme-9Kx2-0abc",
                "last",
            ],
        ),
        ("pytest-finetune registry promote v2 --runs-dir nowhere --run", []),
        ("pytest-finetune registry show --registry nowhere.json", []),
        ("pytest-finetune registry show --registry broken.json", []),
    ],
)
def test_a_shell_completes_versions(registry, two_versions, tmp_path, monkeypatch, words, names):
    (tmp_path / "broken.json").write_text("{", "utf-8")
    monkeypatch.setenv("COMP_WORDS", words + " ")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    monkeypatch.setenv("_PYTEST_FINETUNE_COMPLETE", "bash_complete")
    result = CliRunner().invoke(main, [], prog_name="pytest-finetune", complete_var="_PYTEST_FINETUNE_COMPLETE")
    assert [line.removeprefix("plain,") for line in result.output.split()] == names


def test_a_hostile_record_writes_no_control_codes(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    run = rewritten(recorded(record, tickets), answered_by=("\x1b[2Jevil",))
    assert "\x1b" not in registry("promote", "v1", "--run", run.id, code=1)


def test_rollout_changes_only_the_given_options(registry, two_versions):
    registry("rollout", "--fallback", "v1", "--who", "ada@acme.example")
    output = registry("rollout", "--error-budget", "0.2", "--who", "ada@acme.example")
    assert "fallback: v1" in output
    assert "error_budget: 0.2" in output


def test_rollout_without_options_or_with_an_unknown_version_is_refused(registry, two_versions):
    registry("rollout", code=2)
    registry("rollout", "--fallback", "v9", code=2)


def test_show_prints_what_the_evidence_was_compared_with(registry, record, tickets):
    registry("add", "v1", "--model-id", MODEL)
    old = BaselineRecord(name="registry:production", model="ft:old", base_url="http://127.0.0.1:1/v1", run="run-0")
    registry("promote", "v1", "--run", recorded(record, tickets, baselines=(old,)).id)
    shown = unfolded(registry("show", "v1"))
    assert "compared with registry:production: ft:old at http://127.0.0.1:1/v1, run run-0" in shown
    assert as_json(registry, "show", "v1")["evidence"]["baselines"][0]["model"] == "ft:old"


def test_a_comparison_with_a_model_other_than_production_promotes_nothing(registry, record, tmp_path, two_versions):
    eval_set = write_set(tmp_path, toml=GATE + '[[gates]]\nagainst = "production"\nmax_flips = 9\n')
    verdicts = (("accuracy>=0.6", "pass"), ("flips<=9,vs=production", "pass"))
    other = BaselineRecord(name="replay:other", model="some-other-model", base_url="http://127.0.0.1:1/v1")
    run = recorded(record, eval_set, "ppppp", spec=TUNED, verdicts=verdicts, baselines=(other,))
    output = registry("promote", "v2", "--run", run.id, code=1)
    assert "was compared with some-other-model, but production is" in " ".join(output.split())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nfinetune_eval_sets = questions/*.jsonl\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nfinetune_eval_sets = ["questions/*.jsonl"]\n'),
        ("pytest.toml", '[pytest]\nfinetune_eval_sets = ["questions/*.jsonl"]\n'),
    ],
)
def test_todays_sets_are_those_that_the_project_configures(registry, record, tickets, tmp_path, name, text):
    registry("add", "v1", "--model-id", MODEL)
    run = recorded(record, tickets).id
    (tmp_path / name).write_text(text, "utf-8")
    write_set(tmp_path, "questions/profile.jsonl")
    output = unfolded(registry("promote", "v1", "--run", run, code=1))
    assert "questions/profile.jsonl: not evaluated in this run" in output
    assert f"{TICKETS}: evaluated in the run, but not among the current eval sets" in output


def test_all_eval_sets_of_the_project_count_in_any_folder(registry, record, tmp_path, monkeypatch):
    """All eval sets of the registry's project count, wherever the command runs."""
    write_set(tmp_path)
    registry("add", "v1", "--model-id", MODEL)
    corner = tmp_path / "corner"
    corner.mkdir()
    run = recorded(record, write_set(corner))
    monkeypatch.chdir(corner)
    output = registry("promote", "v1", "--run", str(run.path), "--registry", "../registry.json", code=1)
    assert f"corner/{TICKETS}: not evaluated in this run" in unfolded(output)


def test_a_rollback_to_a_retired_model_warns(registry, record, tickets):
    """A rollback is urgent: it is not refused, but the retirement is reported."""
    for version, model in (("v1", "ft:gpt-4o-mini-2024-07-18:acme::old"), ("v2", MODEL)):
        registry("add", version, "--model-id", model)
        registry("promote", version, "--force", "--reason", "a test")
    output = registry("rollback")
    assert "warning: gpt-4o-mini-2024-07-18 is switched off in" in unfolded(output)
    assert "v1: deprecated -> production" in output
