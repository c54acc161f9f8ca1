from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main

GOOD = "[[gates]]\nmin = 0.9\n"
USELESS = "[[gates]]\nmin = 0.0\n"
UNTRIED = '[[gates]]\nmetric = "latency_p95"\nmax = 1.0\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an eval set of two cases below the working directory."""
    monkeypatch.chdir(tmp_path)

    def _write(toml, name="eval_sets/capitals.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text('{"input": "France?", "expected": "Paris"}\n{"input": "Italy?", "expected": "Rome"}\n', "utf-8")
        path.with_suffix(".toml").write_text(toml, "utf-8")

    return _write


def run(*arguments):
    return CliRunner().invoke(main, ["gates", "check", *arguments])


@pytest.mark.parametrize(
    ("toml", "code", "message"),
    [
        (GOOD, 0, "1 gate tested, 0 not testable here, 0 findings"),
        (GOOD + USELESS, 1, "2 gates tested, 0 not testable here, 1 finding"),
        ("[[gates]]\nmax = 0.5\n", 1, "FINDING: does not pass a perfect run"),
        (GOOD + UNTRIED, 0, "1 gate tested, 1 not testable here, 0 findings"),
        (UNTRIED, 2, "not testable here: needs timing"),
        ("", 0, "no gates: every miss is a failure"),
        ("[[gates]]\nmim = 0.9\n", 2, "did you mean 'min'"),
    ],
)
def test_the_exit_code_reports_useless_gates(write, toml, code, message):
    write(toml)
    result = run()
    assert (result.exit_code, message in result.output) == (code, True), result.output


def test_one_useless_gate_among_many_sets_is_reported(write):
    write(GOOD)
    write(USELESS, "eval_sets/other.jsonl")
    assert run().exit_code == 1
    assert run("eval_sets/capitals.jsonl").exit_code == 0


def test_with_json_nothing_else_is_printed(write):
    write(GOOD + USELESS)
    result = run("--json")
    values = json.loads(result.output)
    assert (result.exit_code, values["findings"]) == (1, 1)
    assert [gate["gate"] for gate in values["eval_sets"][0]["gates"]] == ["accuracy>=0.9", "accuracy>=0"]


def test_a_set_named_twice_is_checked_once(write):
    write(GOOD)
    assert run("eval_sets", "eval_sets/capitals.jsonl").output.count("capitals.jsonl") == 1


@pytest.mark.parametrize("named", ["nowhere", "empty", "notes.txt"])
def test_a_folder_without_eval_sets_is_an_error(write, tmp_path, named):
    write(GOOD)
    (tmp_path / "empty").mkdir()
    result = run("eval_sets", named)
    assert result.exit_code == 2
    assert f"{named}: no eval set there" in result.output


def test_the_default_is_the_folder_eval_sets(write):
    write(GOOD, "elsewhere/eval_sets/capitals.jsonl")
    assert "eval_sets: no eval set there" in run().output
    assert run("elsewhere").exit_code == 0


@pytest.mark.parametrize("missing", ["nope.jsonl", "folder/nope.jsonl"])
def test_a_file_that_does_not_exist_is_named_without_a_line(tmp_path, monkeypatch, missing):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["gates", "check", missing])
    assert result.exit_code == 2
    assert f"{missing}: cannot be read: No such file" in result.output
