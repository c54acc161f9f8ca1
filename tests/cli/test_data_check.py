"""`pytest-finetune data check`: output, exit codes and errors."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from planted_faults import KEY, ask, case, clean_rows, lines, nearly, replaced, row, sentence

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.evaluation.runs.copies import keep_copies
from pytest_finetune.evaluation.runs.manifest import EvalSetPlan, TargetInfo
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
from pytest_finetune.lifecycle.registry.entry import Evidence, EvidenceSet
from pytest_finetune.verdicts.loading import load_eval_sets

CONFLICT = row(clean_rows()[9]["messages"][1]["content"], "other")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Write files below the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(name, rows):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lines(rows))
        return path

    return write


def run(*words):
    return CliRunner().invoke(main, ["data", "check", *words], prog_name="pytest-finetune")


def faulty_rows():
    prompt = clean_rows()[9]["messages"][1]["content"]
    return replaced(
        {
            20: CONFLICT,
            30: row(nearly(prompt), "other"),
            **{number: row(sentence(900 + number), "other ") for number in range(40, 45)},
            50: b'{"torn',
            60: ask(f"the key is {KEY}"),
            70: {"messages": [{"role": "user", "content": "\x1b[2J\u202ehello"}], "\x1b[31mred": 1},
        }
    )


def test_findings_are_shown_by_code_worst_first(data, golden):
    data("train.jsonl", faulty_rows())
    result = run("train.jsonl")
    assert result.exit_code == 1
    golden("data-check.txt", result.output)
    assert max(map(len, result.output.splitlines())) <= 80


def test_verbose_shows_all_locations(data):
    data("train.jsonl", faulty_rows())
    assert "train.jsonl:44 " not in run("train.jsonl").output
    assert "train.jsonl:44 " in run("train.jsonl", "-v").output


def test_control_codes_in_the_data_do_not_reach_the_terminal(data):
    data("train.jsonl", faulty_rows())
    shown = run("train.jsonl", "-v").output + run("train.jsonl", "--json").output
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert KEY not in shown


def test_clean_data_has_a_summary_line(data):
    data("train.jsonl", clean_rows())
    result = run("train.jsonl", "--fail-on", "info")
    assert (result.exit_code, result.output) == (0, "0 errors, 0 warnings, 0 info in 120 rows of 1 file\n")


@pytest.mark.parametrize(
    ("planted", "fail_on", "code"),
    [
        (row(sentence(901), "other "), "error", 0),
        (row(sentence(901), "other "), "warning", 1),
        (row(sentence(901), "other", id=1), "warning", 0),
        (row(sentence(901), "other", id=1), "info", 1),
        (CONFLICT, "error", 1),
    ],
)
def test_the_exit_code_follows_the_severity(data, planted, fail_on, code):
    data("train.jsonl", replaced({40: planted}))
    assert run("train.jsonl", "--fail-on", fail_on).exit_code == code


def test_json_has_all_findings_and_exact_counts(data):
    data("train.jsonl", faulty_rows())
    output = json.loads(run("train.jsonl", "--json").output)
    assert output["rows"] == {"train.jsonl": 119}
    assert output["severities"] == {"error": 4, "warning": 5, "info": 2}
    assert {"file": "train.jsonl", "code": "surrounding_whitespace", "count": 5} in output["counts"]
    assert output["findings_left_out"] == 0
    conflict = next(finding for finding in output["findings"] if finding["code"] == "conflicting_answers")
    assert (conflict["line"], conflict["severity"], conflict["other"]) == (20, "error", "train.jsonl:10")


def test_training_validation_and_a_folder_of_eval_sets_are_checked_together(data):
    prompt = clean_rows()[9]["messages"][1]["content"]
    data("train.jsonl", clean_rows())
    data("validation.jsonl", [row(prompt, "feature")])
    data("eval_sets/tickets.jsonl", [case(nearly(prompt))])
    (Path("eval_sets/tickets.toml")).write_text('scorer = "label"\nlabels = ["bug", "feature", "question", "other"]\n')
    result = run("--train", "train.jsonl", "--validation", "validation.jsonl", "--eval", "eval_sets", "--json")
    output = [(each["code"], each["file"]) for each in json.loads(result.output)["findings"]]
    assert output == [
        ("validation_in_training", "validation.jsonl"),
        ("eval_in_validation", "eval_sets/tickets.jsonl"),
        ("near_eval_in_training", "eval_sets/tickets.jsonl"),
    ]


def test_options_set_labels_schema_tokens_regions_and_codes(data):
    data("train.jsonl", replaced({40: ask("ring 030 901820 now")}))
    Path("schema.json").write_text('{"type": "object"}')
    assert "rare_label" in run("train.jsonl", "--labels", "bug,feature,question,other,praise").output
    assert "invalid_json_answer" in run("train.jsonl", "--schema", "schema.json").output
    assert "too_many_tokens" in run("train.jsonl", "--max-tokens", "100").output
    assert "phone_number" in run("train.jsonl", "--region", "DE").output
    assert "phone_number" not in run("train.jsonl", "--region", "DE", "--ignore", "safety").output
    assert run("train.jsonl", "--region", "DE", "--select", "form,phone_number").output.count("phone_number") == 1


def test_fix_writes_a_file_and_reports_its_changes(data):
    data("train.jsonl", [*clean_rows(), clean_rows()[5], b"{", row(sentence(901), "other ")])
    result = run("train.jsonl", "--fix", "fixed.jsonl")
    assert result.output.splitlines()[-4:] == [
        "wrote 121 rows to fixed.jsonl",
        "removed 1 line: duplicate",
        "removed 1 line: invalid_json",
        "trimmed the answers of 1 row",
    ]
    assert run("fixed.jsonl", "--fail-on", "info").exit_code == 0
    again = run("train.jsonl", "--fix", "fixed.jsonl")
    assert (again.exit_code, "fixed.jsonl: exists already" in again.output) == (2, True)
    output = json.loads(run("train.jsonl", "--fix", "fixed.jsonl", "--force", "--json").output)["fixed"]
    assert output["dropped"] == {"duplicate": 1, "invalid_json": 1}
    assert (output["written"], output["trimmed"], output["left"]) == (121, 1, {})


def test_settings_are_compared_with_production_by_hash(data):
    data("train.jsonl", clean_rows())
    data("eval_sets/tickets.jsonl", [case()])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stored = EvidenceSet(name="eval_sets/tickets.jsonl", cases=1, repeats=1, cases_sha256="a", settings_sha256="b")
    evidence = Evidence(
        run_id="r", spec="ft:a", model_id="ft:a", closed_at=now, pytest_finetune="0", eval_sets=(stored,)
    )
    write_production(Path("registry.json"), evidence, now)
    shown = run("train.jsonl", "--eval", "eval_sets", "--registry", "registry.json").output
    assert "production_differs" in shown
    assert "have changed since ft:a was promoted" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a training file"),
        (["nowhere.jsonl"], "does not exist"),
        (["train.jsonl", "--select", "duplicat"], "did you mean 'duplicate'?"),
        (["train.jsonl", "--region", "XX"], "unknown region"),
        (["train.jsonl", "other.jsonl", "--fix", "out.jsonl"], "exactly one training file"),
        (["train.jsonl", "--eval", "notes.txt"], "no eval set there"),
        (["train.jsonl", "--fix", "train.jsonl"], "the output file is the input"),
        (["train.jsonl", "--schema", "train.jsonl"], "not JSON"),
        (["train.jsonl", "--production-request", "train.jsonl"], "not strict JSON"),
        (["train.jsonl", "--registry", "registry.json"], "no version is in production"),
        (["--validation", "train.jsonl", "--fix", "out.jsonl"], "exactly one training file"),
    ],
)
def test_an_error_is_one_message_and_exit_code_2(data, words, message):
    data("train.jsonl", clean_rows())
    data("other.jsonl", clean_rows())
    data("notes.txt", [])
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not Path("out.jsonl").exists()


def test_an_unknown_token_limit_is_reported(data):
    data("train.jsonl", clean_rows())
    assert "the limit of llama-3 is unknown" in run("train.jsonl", "--model", "llama-3").stderr
    for known in (["--model", "gpt-4o-mini-2024-07-18"], ["--model", "llama-3", "--max-tokens", "8192"], []):
        assert run("train.jsonl", *known).stderr == ""


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\0", '{"a": 1}'.encode("utf-16"), b"\xff" * 50, b"[" * 100_000])
def test_an_unreadable_file_is_a_finding(data, content):
    data("train.jsonl", clean_rows()).write_bytes(content)
    result = run("train.jsonl")
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def promoted(tmp_path, system="Classify the ticket."):
    """A registry whose production version was promoted on eval_sets/tickets.jsonl, and the run's record."""
    path = tmp_path / "eval_sets" / "tickets.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines([case(system=system)]))
    path.with_suffix(".toml").write_text("[request]\nmax_completion_tokens = 16\n")
    (eval_set,) = load_eval_sets([path], root=tmp_path)
    hashes = {name: getattr(eval_set, name) for name in ("cases_sha256", "settings_sha256", "schema_sha256")}
    plan = EvalSetPlan(name=eval_set.name, cases=1, repeats=1, **hashes)
    run = RunStore(tmp_path / ".finetune" / "runs").create(
        TargetInfo(spec="ft:a", model="ft:a"), [plan], folder=tmp_path
    )
    keep_copies(run, [eval_set], root=tmp_path)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stored = EvidenceSet(name=plan.name, cases=1, repeats=1, **hashes)
    evidence = Evidence(
        run_id=run.id, spec="ft:a", model_id="ft:a", closed_at=now, pytest_finetune="0", eval_sets=(stored,)
    )
    write_production(tmp_path / "registry.json", evidence, now)
    return path, run


def write_production(path, evidence, now):
    backend = FileBackend(path)
    backend.update(Change("add", "v1", who="test", entry=Entry(model_id="ft:a", created_at=now)), now=now)
    backend.update(Change("promote", "v1", who="test", evidence=evidence), now=now)


def compared():
    result = run("train.jsonl", "--eval", "eval_sets", "--registry", "registry.json", "--select", "honesty", "--json")
    output = json.loads(result.stdout)["findings"]
    return [(each["file"], each["problem"]) for each in output if each["code"] == "production_differs"], result.stderr


def test_request_settings_are_compared_with_the_recorded_run(data, tmp_path):
    data("train.jsonl", clean_rows())
    path, _ = promoted(tmp_path)
    assert compared() == ([], "")
    path.with_suffix(".toml").write_text("[request]\nmax_completion_tokens = 64\n[[gates]]\nmin = 0.9\n")
    problem = "max_completion_tokens is 64; it was 16 when ft:a was promoted"
    assert compared() == ([("eval_sets/tickets.jsonl", problem)], "")


def test_a_changed_gate_does_not_differ_from_production(data, tmp_path):
    data("train.jsonl", clean_rows())
    path, _ = promoted(tmp_path)
    path.with_suffix(".toml").write_text("[request]\nmax_completion_tokens = 16\n[[gates]]\nmin = 0.9\n")
    assert compared() == ([], "")


def test_a_system_prompt_that_differs_from_production_is_reported(data, tmp_path):
    data("train.jsonl", clean_rows())
    promoted(tmp_path, system="Sort it.")
    problem = "no line of this file has any of the system prompts that ft:a was promoted with"
    assert compared() == ([("train.jsonl", problem)], "")


def test_eval_sets_that_cannot_be_compared_with_production_are_reported(data, tmp_path):
    data("train.jsonl", clean_rows())
    path, record = promoted(tmp_path)
    shutil.rmtree(record.path)
    data("eval_sets/others.jsonl", [case("another one")])
    path.with_suffix(".toml").write_text("[request]\nmax_completion_tokens = 64\n")
    found, message = compared()
    assert [file for file, _ in found] == ["eval_sets/tickets.jsonl"]
    assert "not compared: eval_sets/others.jsonl" in message
    assert "only hashes compared: eval_sets/tickets.jsonl" in message


def test_label_by_uses_a_key_of_json_answers(data):
    answers = [("bug", 60), ("feature", 60), ("question", 5)]
    rows = [(name, number) for name, count in answers for number in range(count)]
    data(
        "train.jsonl",
        [row(sentence(at), json.dumps({"team": name, "order": number})) for at, (name, number) in enumerate(rows)],
    )
    schema = {"properties": {"team": {"enum": ["bug", "feature", "question", "other"]}}}
    Path("team.schema.json").write_text(json.dumps(schema))
    words = ("--select", "rare_label,class_imbalance,unknown_label", "--json")
    output = json.loads(run("train.jsonl", "--label-by", "team", *words).output)["findings"]
    assert [(each["code"], each["line"]) for each in output] == [("rare_label", 121)]
    output = json.loads(run("train.jsonl", "--label-by", "team", "--schema", "team.schema.json", *words).output)
    assert [each["problem"] for each in output["findings"] if each["code"] == "rare_label"] == [
        "the label 'other' has 0 examples",
        "the label 'question' has 5 examples",
    ]
    assert json.loads(run("train.jsonl", *words).output)["findings"] == []
    misspelt = run("train.jsonl", "--label-by", "taem")
    assert (misspelt.exit_code, "did you mean 'team'?" in misspelt.output) == (2, True)


def test_a_file_named_twice_is_read_once(data):
    path = data("train.jsonl", clean_rows())
    Path("link.jsonl").symlink_to(path)
    result = run("train.jsonl", "--train", str(path), "link.jsonl", "--fail-on", "info")
    assert (result.exit_code, result.output) == (0, "0 errors, 0 warnings, 0 info in 120 rows of 1 file\n")


@pytest.mark.parametrize("folder", ["holdout", "data/sets", "eval_sets"])
def test_eval_sets_may_be_in_a_folder_of_any_name(data, tmp_path, folder):
    data("train.jsonl", clean_rows())
    (tmp_path / folder).mkdir(parents=True)
    asked = clean_rows()[9]["messages"][1]["content"]
    data(f"{folder}/tickets.jsonl", [case(asked)])
    result = run("train.jsonl", "--eval", folder)
    assert f"{folder}/tickets.jsonl:1: has the same prompt as train.jsonl:10" in " ".join(result.output.split())


def test_in_a_folder_with_configured_eval_sets_other_files_are_left_alone(data, tmp_path):
    data("train.jsonl", clean_rows())
    (tmp_path / "pytest.ini").write_text("[pytest]\nfinetune_eval_sets = sets/*.eval.jsonl\n")
    (tmp_path / "sets").mkdir()
    data("sets/a.eval.jsonl", [case()])
    data("sets/notes.jsonl", [{"note": 1}])
    assert "eval_set" not in run("train.jsonl", "--eval", "sets").output
