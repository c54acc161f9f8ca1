"""The confidence of answers in a whole session: requested, recorded, cached, shown and judged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Reply

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore

LABELS = ["bug", "fix", "bug", "fix", "bug"]
TOML = """
scorer = "label"
labels = ["bug", "fix"]
[request]
logprobs = true
[[gates]]
metric = "ece"
max = 0.2
[[gates]]
metric = "accuracy_at_coverage"
coverage = 0.8
min = 1.0
[[gates]]
min = 0.8
"""


def with_logprobs(body):
    """Right with 90 %, but for question 4, which it answers wrongly with 50 %."""
    number = int(body["messages"][-1]["content"])
    text = "fix" if number == 4 else LABELS[number]
    logprob = -0.693147 if number == 4 else -0.105361
    given = {"content": [{"token": text, "logprob": logprob, "bytes": None}]} if body.get("logprobs") else None
    return Reply(content=text, logprobs=given)


@pytest.fixture
def confident(suite, server):
    suite(LABELS, inputs=["0", "1", "2", "3", "4"], toml=TOML)
    server.answer = with_logprobs


@pytest.mark.usefixtures("confident")
def test_confidence_is_recorded_shown_and_judged(evaluate, server, pytester):
    page, notes = pytester.path / "page.html", pytester.path / "notes.md"
    result = evaluate("-v", f"--finetune-html={page}", f"--finetune-markdown={notes}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*gate?ece<=0.2? PASSED*",
            "*gate?accuracy_at_coverage>=1,coverage=0.8? PASSED*",
            "*3 of 3 gates passed*",
            "*  calibration error 0.180 *",
            "*  accuracy of the 80 % most confident 1.000 *",
        ]
    )
    assert "accuracy of the 50 % most confident 1.000" in notes.read_text("utf-8")
    assert "accuracy of the 90 % most confident" in page.read_text("utf-8")
    assert all(request.json["logprobs"] is True for request in server.requests)
    run = RunStore(pytester.path / ".finetune/runs").find("last")
    kept = [sample.completion.logprobs for sample in run.samples().values()]
    assert sorted(kept) == sorted([(("bug", -0.105361),)] * 2 + [(("fix", -0.105361),)] * 2 + [(("fix", -0.693147),)])
    shown = json.loads(CliRunner().invoke(main, ["runs", "show", "last", "--json"]).stdout)
    verdict = shown["verdicts"][0]
    assert (verdict["rule"]["metric"], round(verdict["value"], 3), verdict["planned"]) == ("ece", 0.18, 5)


@pytest.mark.usefixtures("confident")
def test_a_recorded_run_and_the_cache_keep_the_confidence(evaluate):
    evaluate(cache=True, model="gpt-4.1-mini-2025-04-14")
    for model in ("replay:last", "gpt-4.1-mini-2025-04-14"):
        result = evaluate("-v", cache=True, model=model)
        result.stdout.fnmatch_lines(["*gate?ece<=0.2? PASSED*", "*  calibration error 0.180 *"])


@pytest.mark.usefixtures("confident")
def test_a_server_without_logprobs_leaves_the_verdict_open(evaluate, server, pytester):
    server.answer = lambda body: "fix" if body["messages"][-1]["content"] in "134" else "bug"
    notes = pytester.path / "notes.md"
    result = evaluate("-v", f"--finetune-markdown={notes}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*gate?ece<=0.2? *", "*incomplete: 5 of 5 answers have no logprobs of their text, so ece is unknown:*"]
    )
    result.stdout.no_fnmatch_line("*calibration error*")
    result.stdout.fnmatch_lines(["*1 of 3 gates passed, 2 incomplete*"])


@pytest.mark.usefixtures("confident")
def test_a_model_that_refuses_logprobs_is_not_asked_for_them(evaluate, server):
    result = evaluate(model="gpt-5-mini")
    assert result.ret == 1
    assert not any("logprobs" in request.json for request in server.requests)
    result.stdout.fnmatch_lines(
        [
            "requests to gpt-5-mini: logprobs left out: refused by GPT-5",
            "requests to gpt-5-mini: gate ece<=0.2 will be incomplete: no logprobs are requested",
            "*ece is unknown*",
        ]
    )


def test_the_example_of_the_page_runs(suite, evaluate, server):
    page = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text("utf-8")
    (toml,) = re.findall(r"```toml\n([^`]*accuracy_at_coverage[^`]*)```", page)
    suite(["bug", "question", "praise"] * 4, toml=toml)

    def answer(body):
        text = body["messages"][-1]["content"]
        return Reply(content=text, logprobs={"content": [{"token": text, "logprob": -0.01}]})

    server.answer = answer
    result = evaluate()
    result.stdout.fnmatch_lines(["*ships: 3 of 3 gates passed"])
    result.stdout.no_fnmatch_line("*no gate*")


def test_without_logprobs_nothing_is_requested_or_shown(suite, evaluate, server):
    suite(LABELS)
    evaluate("-v").stdout.no_fnmatch_line("*calibration*")
    assert not any("logprobs" in request.json for request in server.requests)


def test_each_of_several_scorers_has_its_own_calibration(suite, evaluate, server):
    toml = """
[request]
logprobs = true
[[scorers]]
type = "label"
labels = ["bug", "fix"]
[[scorers]]
name = "length"
type = "regex"
expected = "form"
[[gates]]
metric = "ece"
max = 0.2
[[gates]]
scorer = "length"
metric = "ece"
max = 0.2
"""
    suite(LABELS, inputs=["0", "1", "2", "3", "4"], toml=toml, metadata={"form": "b.."})
    server.answer = with_logprobs
    result = evaluate("-v")
    # Two of five answers begin with b, and all were given with about 0.9.
    result.stdout.fnmatch_lines(["*gate?ece<=0.2? PASSED*", "*gate?ece<=0.2,scorer=length? FAILED*"])
