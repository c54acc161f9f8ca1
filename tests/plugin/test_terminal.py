"""The whole closing section, compared with golden files."""

from __future__ import annotations

import json

import pytest
from scripted_server import error
from steady_text import steady

from pytest_finetune.reports.text import columns

LABELS = 'scorer = "label"\nlabels = ["bug", "feature", "other"]\n'
GATES = """
[[gates]]
min = 0.5
confidence = 0.95
[[gates]]
min = 0.99
[[gates]]
metric = "valid_rate"
min = 0.9
where = { tag = "en" }
[[gates]]
metric = "accuracy"
against = "production"
max_drop = 0.02
"""
UNSTABLE = """
scorer = "json"
[stability]
repeats = 3
temperature = 0.7
[[gates]]
metric = "format_stability"
min = 0.9
"""


def closing(result):
    """The closing section, with run-specific values replaced."""
    text = result.stdout.str()
    text = text[text.index("= finetune =") :].partition("= short test summary")[0].partition("\n=====")[0]
    return steady("\n".join(text.splitlines()[1:])).strip() + "\n"


@pytest.fixture
def labelled(suite):
    expected = ["bug", "feature", "other"] * 4
    inputs = ["bug", "feature", "other", "feature", "feature", "neither", *expected[6:]]
    return suite(expected, inputs=inputs, toml=LABELS + GATES, tags=["en"], metadata={"team": "web"})


def test_gates_of_every_verdict(labelled, evaluate, golden):
    golden("gates.txt", closing(evaluate(model="ft:new")))


def test_verbose_shows_labels_and_slices(labelled, evaluate, golden):
    golden("verbose.txt", closing(evaluate("-v", model="ft:new")))


def test_two_models_and_a_baseline(labelled, evaluate, server, golden):
    answers = {"old": lambda turns: turns, "new": lambda turns: "bug" if turns == "other" else turns}
    server.answer = lambda body: answers[body["model"]](body["messages"][-1]["content"])
    golden("baseline.txt", closing(evaluate("--baseline=old", model="new")))


def test_repeats_show_what_is_not_stable(suite, evaluate, server, golden):
    suite([{"name": "Ada"}] * 4, inputs=["Ada"] * 4, toml=UNSTABLE)
    turns = iter(range(100))

    def answer(body):
        turn = next(turns) % 3
        return json.dumps([{"name": "Ada"}, {"name": 1}, {"name": "Ada", "age": None}][turn])

    server.answer = answer
    golden("stability.txt", closing(evaluate("--concurrency=1", model="m")))


def test_quiet_shows_the_outcome_and_the_gates_that_do_not_pass(labelled, evaluate, golden):
    golden("quiet.txt", closing(evaluate("-q", model="ft:new")))


def test_quiet_names_the_model_of_each_list_of_gates(pytester, labelled, server):
    options = ("--model=ft:a", "--model=ft:b", f"--finetune-base-url={server.url}", "-q", "-p", "no:randomly")
    lines = pytester.runpytest_inprocess(*options).stdout.lines
    for model in ("ft:a", "ft:b"):
        assert lines[lines.index(f"  {model}") + 1] == "gates of eval_sets/tickets.jsonl"


def test_the_short_summary_shows_a_gates_figures_on_80_columns(labelled, evaluate, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = [line for line in evaluate(model="ft:new").stdout.lines if line.startswith("FAILED")]
    assert found
    assert not [line for line in found if line.count("eval_sets/tickets.jsonl") > 1]


def test_twice_quiet_shows_only_the_outcome(labelled, evaluate):
    lines = evaluate("-qq", model="ft:new").stdout.lines
    assert "ft:new does not ship: 2 of 4 gates passed, 1 failed, 1 incomplete" in lines
    assert not [line for line in lines if "finetune =" in line or "run " in line or "missed cases" in line]


def test_with_no_summary_there_is_no_closing_section(labelled, evaluate):
    text = evaluate("--no-summary", model="ft:new").stdout.str()
    assert "does not ship" not in text
    assert "2 failed, 12 passed, 2 missed" in text


@pytest.mark.parametrize(("style", "shown"), [("no", False), ("line", False), ("short", True), ("auto", True)])
def test_the_texts_of_misses_follow_pytests_own_switch(labelled, evaluate, style, shown):
    assert ("missed cases" in evaluate(f"--tb={style}", model="ft:new").stdout.str()) is shown


@pytest.mark.parametrize("options", [["-rx"], ["-ra"], ["-rA", "-q"]])
def test_missed_cases_are_listed_with_expected_failures(labelled, evaluate, options):
    evaluate(*options, model="ft:new").stdout.fnmatch_lines(
        [
            "=* missed summary info =*",
            "MISSED eval_sets/tickets.jsonl::case-3 - missed",
            "MISSED eval_sets/tickets.jsonl::case-5 - missed: format failure: not in enum",
        ]
    )


def test_errored_cases_are_listed_with_errors(suite, evaluate, server):
    suite(2, toml="[[gates]]\nmin = 0.5\n")
    server.answer = lambda body: error(400, "no such parameter")
    assert "ERRORED" not in evaluate("-rx").stdout.str()
    evaluate("-rE").stdout.fnmatch_lines(["ERRORED eval_sets/tickets.jsonl::case-0 - error: bad_req*"])


def test_the_outcome_of_a_model_that_ships_and_of_a_set_without_gates(suite, evaluate):
    suite(3, toml="[[gates]]\nmin = 0.5\n")
    suite(2, inputs=["word-0", "wrong"], name="plain")
    lines = evaluate().stdout.lines
    assert "ft:test does not ship: 1 of 1 gates passed; 1 of 2 cases passed (all must pass)" in lines
    assert "ft:test ships: 1 of 1 gates passed" in evaluate("eval_sets/tickets.jsonl").stdout.lines


def test_incomplete_gates_ship_nothing_yet(suite, evaluate):
    suite(6, toml="[[gates]]\nmin = 0.1\n")
    assert "ft:test does not ship yet: 0 of 1 gates passed, 1 incomplete" in evaluate("-k", "case-1").stdout.lines


@pytest.mark.parametrize("width", [60, 80, 120])
def test_everything_fits_whatever_the_width_and_the_script(suite, evaluate, server, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    labels = ["错误报告", "功能请求"]
    toml = f"scorer = 'label'\nlabels = {labels}\n[[gates]]\nmin = 0.9\nwhere = {{ tag = '需要优先处理的客户反馈' }}\n"
    suite(
        labels * 4, inputs=[labels[0]] * 8, tags=["需要优先处理的客户反馈"], toml=toml, name="客户反馈分类数据集第一版"
    )
    text = closing(evaluate("-v", "--baseline=ft:old", model="ft:gpt-4o-mini-2024-07-18:acme:tickets-v2:AbC123"))
    long = [line for line in text.splitlines() if columns(line) > width]
    assert long == []


def test_no_colour_with_no_color(labelled, evaluate, monkeypatch):
    assert "\x1b[" in evaluate("--color=yes", model="ft:new").stdout.str()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in evaluate("-v", model="ft:new").stdout.str()


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_the_gates_are_part_of_the_progress(suite, evaluate, workers):
    suite(6, toml="[[gates]]\nmin = 0.5\n[[gates]]\nmin = 0.1\n")
    evaluate(*workers, subprocess=True).stdout.re_match_lines([r".*\.{8} +\[100%\]"])


def test_the_summary_of_a_redacted_session_quotes_nothing(labelled, evaluate, server):
    server.answer = lambda body: "bug" if body["model"] == "old" else "marker"
    text = closing(evaluate("-v", "--baseline=old", "--finetune-redact", model="new"))
    assert "marker" not in text
    assert "sha256:" in text
