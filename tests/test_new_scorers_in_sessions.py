"""Graded scores, fields and SQL results in a whole session: records, reports, baselines and the self-test."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main

GRADED = '[scorer]\ntype = "f1"\nthreshold = 0.6\n[[gates]]\nmetric = "score"\nmin = 0.8\n[[gates]]\nmin = 0.7\n'
FIELDS = '[scorer]\ntype = "json"\n[scorer.fields."$.amount"]\ncompare = "number"\nabsolute = 1\n'
FIELD_GATE = '[[gates]]\nmetric = "field_accuracy"\nfield = "$.order"\n'
EXPECTED = ["the red house", "the blue house", "a green car", "one white cat"]
ANSWERS = ["the red house", "blue house the", "a green", "dogs"]


def command(*arguments):
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_a_session_reports_the_mean_score(suite, evaluate, pytester):
    suite(EXPECTED, inputs=ANSWERS, toml=GRADED)
    page, notes, junit = (pytester.path / name for name in ("page.html", "notes.md", "junit.xml"))
    result = evaluate("-v", f"--finetune-html={page}", f"--finetune-markdown={notes}", f"--junitxml={junit}")
    # 1, 1, 0.8 and 0: the mean is 0.7, and three of four pass.
    result.stdout.fnmatch_lines(["*gate?score>=0.8? FAILED*", "*gate?accuracy>=0.7? PASSED*", "*  score  *0.700*"])
    assert "score" in page.read_text("utf-8")
    assert "score&gt;=0.8" in page.read_text("utf-8").replace(">=", "&gt;=")
    assert "score>=0.8" in notes.read_text("utf-8").replace("\\", "").replace("&gt;", ">")
    properties = {one.get("name"): one.get("value") for one in ET.parse(junit).iter("property")}
    assert properties["finetune.score[eval_sets/tickets.jsonl]"] == "0.7"
    assert "0.7" in command("runs", "show", "last").stdout


def test_a_record_is_scored_again_and_resumed_under_the_same_options(suite, evaluate):
    suite(EXPECTED, inputs=ANSWERS, toml=GRADED)
    evaluate()
    suite(EXPECTED, inputs=ANSWERS, toml=GRADED.replace("0.6", "0.9"))
    evaluate(model="replay:last").stdout.fnmatch_lines(["*accuracy*0.500*"])


def test_a_field_that_got_worse_is_named_against_the_baseline(suite, evaluate, server):
    expected = [{"order": number, "amount": 10} for number in range(4)]
    toml = FIELDS + FIELD_GATE + 'against = "old"\nmax_drop = 0.1\n'
    suite(expected, inputs=[str(number) for number in range(4)], toml=toml)
    worse = {"2": '{"order": 9, "amount": 10}', "3": '{"amount": 11}'}

    def answer(body):
        question = body["messages"][-1]["content"]
        right = json.dumps({"order": int(question), "amount": 10.5})
        return right if body["model"] == "old" else worse.get(question, right)

    server.answer = answer
    evaluate(model="old")
    result = evaluate("--baseline=replay:last", model="new", subprocess=True)
    assert result.ret == 1
    text = result.stdout.str()
    assert "field_accuracy of $.order dropped by 0.500" in text
    assert "$.order right 1.000 -> 0.500" in text
    assert "$.amount right" not in text


@pytest.mark.parametrize(
    ("scorer", "expected", "wrong"),
    [
        ('type = "number"\nabsolute = 0.5', ["1", "20", "300"], "7 km"),
        ('type = "fuzzy"\nthreshold = 0.9', EXPECTED, "something else"),
        ('type = "rouge_l"\nthreshold = 0.9', EXPECTED, "something else"),
        ('type = "chrf"\nthreshold = 0.9', EXPECTED, "something else"),
        ('type = "bleu"\nthreshold = 0.9', EXPECTED, "something else"),
        ('type = "sql_result"\ndatabase = "t.sql"', ["SELECT 1", "SELECT 2", "SELECT 3"], "DROP TABLE t"),
        (
            'type = "sql_result"\ndatabase = "t.sql"\nengine = "duckdb"',
            ["SELECT 1", "SELECT 2", "SELECT 3"],
            "DROP TABLE t",
        ),
    ],
)
def test_a_session_and_the_self_test_know_the_scorer(suite, evaluate, pytester, scorer, expected, wrong):
    suite(expected, inputs=[*expected[:-1], wrong], toml=f"[scorer]\n{scorer}\n[[gates]]\nmin = 1.0\n")
    (pytester.path / "eval_sets/t.sql").write_text("CREATE TABLE t (a INTEGER)")
    result = evaluate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate?accuracy>=1*"])
    assert result.parseoutcomes() == {"passed": len(expected) - 1, "missed": 1, "failed": 1}
    checked = command("gates", "check", "eval_sets")
    assert checked.exit_code == 0, checked.output
    assert "every kind of damage is caught by some gate" in checked.output
    diff = command("data", "check", "eval_sets/tickets.jsonl")
    assert "unknown_label" not in diff.output


def test_a_changed_database_is_another_eval_set(suite, evaluate, pytester):
    suite(["SELECT 1"], toml='[scorer]\ntype = "sql_result"\ndatabase = "t.sql"\n')
    script = pytester.path / "eval_sets/t.sql"
    script.write_text("CREATE TABLE t (a)")
    hashes = []
    for text in ("CREATE TABLE t (a)", "CREATE TABLE t (b)"):
        script.write_text(text)
        evaluate()
        (newest,) = sorted((pytester.path / ".finetune/runs").glob("*/manifest.json"))[-1:]
        hashes.append(json.loads(newest.read_text())["eval_sets"][0]["settings_sha256"])
    assert hashes[0] != hashes[1]
