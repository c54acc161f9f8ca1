"""Results by scorer and by field in the terminal, in Markdown and on the run page."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from page_runs import evaluated, recorded, write_set

from pytest_finetune.reports.breakdown import breakdown, breakdown_lines
from pytest_finetune.reports.details import detail_lines
from pytest_finetune.reports.failure import outcome_fields
from pytest_finetune.reports.junit import suite_properties
from pytest_finetune.reports.markdown import markdown
from pytest_finetune.reports.page.document import page_html
from pytest_finetune.reports.sources import from_record, from_session
from pytest_finetune.verdicts.gates import Baseline

TOML = """
[[scorers]]
type = "json"

[[scorers]]
name = "form"
type = "regex"
expected = "form"
"""
ROWS = [
    {"id": f"c{n}", "input": f"q{n}", "expected": {"team": "a", "order": n}, "metadata": {"form": "{.*}"}}
    for n in range(40)
]


def right(case, attempt):
    return json.dumps(case.expected[0])


def worse(case, attempt):
    """`order` is wrong in half of the cases, and blanks around three answers break the form."""
    number = int(case.id[1:])
    answer = json.dumps({"team": "a", "order": -1 if number % 2 else number})
    return f"[{answer}]" if number < 3 else answer


@pytest.fixture
def compared(tmp_path):
    eval_set = write_set(tmp_path, "orders", ROWS, TOML)
    before, _ = evaluated(tmp_path, [eval_set], right, spec="old")
    baseline = Baseline("old", eval_set.cases_sha256, 1, list(before.samples.values()))
    evaluation, results = evaluated(tmp_path, [eval_set], worse, spec="new", baselines={eval_set.name: baseline})
    return from_session(evaluation, results)


def test_each_scorer_and_field_has_its_share_and_its_change(compared):
    rows = breakdown(compared.sets[0])
    assert [(row.kind, row.name, row.measure.value, row.change, row.worse) for row in rows] == [
        ("scorer", "json (decides)", 0.45, -0.55, True),
        ("scorer", "form", 0.925, -0.075, False),
        ("field", "$.order", 0.45, -0.55, True),
        ("field", "$.team", 0.925, -0.075, False),
    ]
    assert all(row.interval is not None and row.measure.interval is not None for row in rows)
    assert all(row.measure.interval.low < row.measure.value < row.measure.interval.high for row in rows)


def test_every_report_shows_the_table(compared):
    text = markdown([compared])
    assert "| scorer | `json (decides)` | 0.450 [0.293, 0.615] | 40 | 1.000 |" in text
    lines = [line for line in text.splitlines() if line.startswith(("| scorer", "| field"))]
    assert [line.split(" | ")[1] for line in lines] == ["`json (decides)`", "`form`", "`$.order`", "`$.team`"]
    assert "❌ -0.550 [" in lines[2]
    assert "❌" not in lines[3]
    page = page_html([compared])
    assert "By scorer and field" in page
    assert '<th scope="row">$.order</th>' in page
    terminal = [line for line, _ in detail_lines(compared.sets[0], "new", 100)]
    assert any(line.strip().startswith("$.order") and "0.450" in line for line in terminal)


def test_a_case_says_which_other_scorers_miss_it(compared):
    page = page_html([compared])
    assert "form: expected a match of" in page
    assert "form: expected a match of" not in page_html([compared], redact=True)
    row = compared.sets[0].summary.rows[0]
    fields = dict(outcome_fields(row.case, row.samples[0], redact=False))
    assert fields["form"].startswith("missed: expected a match of")
    assert dict(outcome_fields(row.case, row.samples[0], redact=True))["form"] == "missed"
    assert dict(suite_properties([compared]))["finetune.scorer[form][eval_sets/orders.jsonl]"] == "0.925"


def test_paths_are_hidden_where_answers_are(compared):
    assert "$.order" not in markdown([compared], redact=True)
    assert "$.order" not in page_html([compared], redact=True)
    assert not any("$.order" in line for line, _ in breakdown_lines(compared.sets[0], 100, redact=True))
    assert "json (decides)" in markdown([compared], redact=True)


def test_a_set_with_one_scorer_and_no_fields_has_no_table(tmp_path):
    eval_set = write_set(tmp_path, "words", [{"id": "a", "input": "x", "expected": "y"}])
    evaluation, results = evaluated(tmp_path, [eval_set], lambda case, attempt: "y")
    reported = from_session(evaluation, results)
    assert breakdown(reported.sets[0]) == []
    assert "by scorer and field" not in markdown([reported])
    assert "By scorer and field" not in page_html([reported])


def test_a_record_names_the_fields_that_changed_since_another_run(tmp_path):
    eval_set = write_set(tmp_path, "orders", ROWS, TOML)
    old = recorded(tmp_path, [eval_set], right, spec="old")
    new = recorded(tmp_path, [eval_set], worse, spec="new")
    rows = breakdown(from_record(new, root=tmp_path, against=old).sets[0])
    assert {row.name: row.change for row in rows} == {
        "json (decides)": -0.55,
        "form": -0.075,
        "$.order": -0.55,
        "$.team": -0.075,
    }


def test_an_interrupted_run_shows_what_was_requested_without_intervals(tmp_path):
    eval_set = write_set(tmp_path, "orders", ROWS, TOML)
    evaluation, results = evaluated(
        tmp_path, [eval_set], lambda case, attempt: right(case, 0) if case.id < "c2" else None, judged=False
    )
    rows = breakdown(from_session(evaluation, results).sets[0])
    assert [row.measure.interval for row in rows] == [None] * 4
    assert {row.measure.value for row in rows} == {1.0}


def test_a_baseline_that_a_scorer_has_not_scored_shows_no_change_of_it(tmp_path):
    eval_set = write_set(tmp_path, "orders", ROWS, TOML)
    before, _ = evaluated(tmp_path, [eval_set], right, spec="old")
    samples = [replace(one, score=replace(one.score, parts=None)) for one in before.samples.values()]
    baseline = Baseline("old", eval_set.cases_sha256, 1, samples)
    evaluation, results = evaluated(tmp_path, [eval_set], right, spec="new", baselines={eval_set.name: baseline})
    rows = {row.name: row for row in breakdown(from_session(evaluation, results).sets[0])}
    assert (rows["form"].change, rows["form"].before) == (None, None)
    assert rows["$.order"].change == 0
