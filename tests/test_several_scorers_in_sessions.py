"""Several scorers of one set in a whole session: records, gates, baselines, resumption, reports and the self-test."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from click.testing import CliRunner
from scripted_server import Reply

from pytest_finetune.cli import main

SCORERS = """
[[scorers]]
type = "label"
labels = ["bug", "question", "praise"]
normalize = ["strip", "casefold"]

[[scorers]]
name = "short"
type = "regex"
expected = "form"

[[gates]]
min = 0.7

[[gates]]
scorer = "short"
min = 0.7
"""
EXPECTED = ["bug", "question", "praise", "bug"]
CASE = {"old": "lower", "new": "upper"}
FORM = {"form": "[a-z]{1,6}"}


def command(*arguments):
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def recorded(pytester):
    newest = max((pytester.path / ".finetune/runs").glob("*/samples.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in newest.read_text("utf-8").splitlines()]


def test_each_gate_has_the_verdict_of_its_scorer_and_the_record_holds_both(suite, evaluate, pytester):
    suite(EXPECTED, inputs=["bug", "question", "bug", "bug"], toml=SCORERS, metadata=FORM)
    junit = pytester.path / "junit.xml"
    result = evaluate("-v", f"--junitxml={junit}")
    result.stdout.fnmatch_lines(["*gate?accuracy>=0.7? PASSED*", "*gate?accuracy>=0.7,scorer=short? PASSED*"])
    parts = [line["score"]["parts"]["short"]["passed"] for line in recorded(pytester)]
    assert parts.count(True) == 3
    assert "accuracy&gt;=0.7,scorer=short" in junit.read_text("utf-8")
    assert ET.parse(junit) is not None
    shown = command("runs", "show", "last")
    assert "accuracy>=0.7,scorer=short" in shown.output


def test_a_record_is_scored_again_by_all_scorers(suite, evaluate):
    suite(EXPECTED, inputs=["bug", "question", "bug", "bug"], toml=SCORERS, metadata=FORM)
    evaluate()
    suite(EXPECTED, inputs=["bug", "question", "bug", "bug"], toml=SCORERS, metadata={"form": "b.*"})
    result = evaluate("-v", model="replay:last")
    result.stdout.fnmatch_lines(["*gate?accuracy>=0.7,scorer=short? PASSED*"])
    suite(EXPECTED, inputs=["bug", "question", "bug", "bug"], toml=SCORERS, metadata={"form": "q.*"})
    result = evaluate("-v", model="replay:last")
    result.stdout.fnmatch_lines(["*gate?accuracy>=0.7,scorer=short? FAILED*"])


def test_a_gate_compares_the_scores_of_its_scorer_with_those_of_the_baseline(suite, evaluate, server):
    gate = SCORERS + '[[gates]]\nscorer = "short"\nagainst = "old"\nmax_flips = 0\n'
    suite(EXPECTED, inputs=[str(number) for number in range(4)], toml=gate, metadata={"form": "[a-z]{1,8}"})
    answers = {"0": "bug", "1": "question", "2": "praise", "3": "bug"}
    # In the new run the label is still right, in capitals that the form does not allow.
    server.answer = lambda body: getattr(answers[body["messages"][-1]["content"]], CASE[body["model"]])()
    evaluate(model="old")
    result = evaluate("-v", "--baseline=replay:last", model="new", subprocess=True)
    assert "gate[flips<=0,vs=old,scorer=short] FAILED" in result.stdout.str()
    assert "4 of 4 cases passed in" in result.stdout.str()


def test_a_resumed_run_is_judged_by_all_scorers(suite, evaluate, pytester, server):
    suite(EXPECTED, toml=SCORERS, metadata={"form": "[a-z]{1,8}"})
    replies = iter([Reply(status=400)])
    server.answer = lambda body: next(replies, body["messages"][-1]["content"])
    assert evaluate("--concurrency=1").ret != 0
    result = evaluate("--resume")
    assert result.ret == 0
    assert all("short" in line["score"]["parts"] for line in recorded(pytester) if line.get("score"))


def test_workers_score_with_all_scorers(suite, evaluate):
    suite(EXPECTED, toml=SCORERS, metadata={"form": "[a-z]{1,8}"})
    result = evaluate("-n", "2", subprocess=True)
    assert result.ret == 0


def test_the_self_test_and_the_data_check_know_the_set(suite):
    suite(EXPECTED, toml=SCORERS, metadata={"form": "[a-z]{1,8}"})
    checked = command("gates", "check", "eval_sets")
    assert checked.exit_code == 0, checked.output
    assert "accuracy>=0.7,scorer=short" in checked.output
    suite(EXPECTED, toml=SCORERS, metadata={"form": "[A-Z]"})
    checked = command("gates", "check", "eval_sets")
    assert "does not pass a perfect run" in checked.output
    diff = command("data", "check", "eval_sets/tickets.jsonl")
    assert "unknown_label" not in diff.output
