"""Markdown of a run, parsed by GitHub's own parser: any text is shown and has no effect."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from decimal import Decimal

import cmarkgfm
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_finetune.base.records import Case, Completion, Failure, Message, Sample, Score, State
from pytest_finetune.base.text import shorten
from pytest_finetune.evaluation.runs import VerdictRecord
from pytest_finetune.reports.markdown import LIMIT, code, markdown
from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet
from pytest_finetune.verdicts.comparison import compare
from pytest_finetune.verdicts.evalset.gate_settings import BarGate
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.metrics import summarize
from pytest_finetune.verdicts.rule import Rule

HOSTILE = [
    "a | b",
    "\\|",
    "a\\",
    "`",
    "``` `` `",
    " `padded` ",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code></td></table><h1>x",
    "![pixel](https://evil.example/p.png)",
    "[click](javascript:alert(1))",
    "https://evil.example/?q=secret www.evil.example a@evil.example",
    "@octocat @org/team #1 GH-2 octocat/hello#3",
    "line\n\n# heading\n| a | b |\n|---|---|",
    "\x1b[31mred\x07\u202e\u200b\x00\r\n",
    "&lt;b&gt; &#64;octocat &#124;",
    "$\\href{javascript:alert(1)}{x}$ $$x$$ :tada: [^1] <!-- -->",
    " ",
    "",
]


def rendered(text):
    return cmarkgfm.github_flavored_markdown_to_html(text)


def in_code(text, limit=80):
    return f"<code>{html.escape(shorten(text, limit) or ' ', quote=False)}</code>".replace('"', "&quot;")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_shows_the_text_and_nothing_else(text):
    assert rendered(f"| a | b |\n|---|---|\n| {code(text)} | z |\n").count("<td>") == 2
    assert f"<td>{in_code(text)}</td>" in rendered(f"| a | b |\n|---|---|\n| {code(text)} | z |\n")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("`|`\\`|")
@example("||")
def test_no_text_leaves_its_cell(text):
    assert f"<td>{in_code(text)}</td>\n<td>z</td>" in rendered(f"| a | b |\n|---|---|\n| {code(text)} | z |\n")


def gate(label, status, message="why", **figures):
    verdict = VerdictRecord(eval_set="set", gate=label, status=status, message=message, planned=9, **figures)
    return Gate(verdict, Rule(kind="min", bar=0.9) if figures else None)


def answered(number, text, ids, *, passed):
    state = State.PASSED if passed else State.MISSED
    return Sample("set", f"{ids}{number}", 0, state, Completion(text), Score(passed))


def part(cases=3, *, text="bug", name="eval_sets/tickets.jsonl", ids="case-", gates=None):
    """A set whose cases all passed before and do not now."""
    planned = [Case(f"{ids}{n}", n + 1, (Message("user", text),), (text,)) for n in range(cases)]
    before, after = (
        summarize([answered(n, text, ids, passed=passed) for n in range(cases)], planned) for passed in (True, False)
    )
    gates = gates or (gate("accuracy>=0.9", "fail", value=0.5, low=0.2, high=0.8),)
    settings = EvalSettings(gates=[BarGate(min=0.9)])
    return ReportedSet(name, after, gates, 1, settings, baseline=text, comparison=compare(before, after))


def run(*parts, model="ft:new", run_id="20260301-a", **how):
    return ReportedRun(model, parts, run_id, closed=True, **how)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_renders_pings_and_tracks_nothing(text):
    hostile = part(text=text, name=text, ids=text, gates=(gate(text, "fail", text), gate(text, "incomplete", text)))
    page = rendered(markdown([run(hostile, model=text, run_id=text or "x", notes=(text,))]))
    plain = rendered(
        markdown(
            [
                run(
                    part(text="x", name="x", ids="x", gates=(gate("x", "fail", "x"), gate("x", "incomplete", "x"))),
                    model="x",
                    run_id="x",
                    notes=("x",),
                )
            ]
        )
    )
    skeleton = [re.sub(r"<code>.*?</code>", "CODE", one) for one in (page, plain)]
    assert skeleton[0] == skeleton[1]


def test_one_line_shows_model_verdict_gates_and_cost():
    gates = (gate("a", "pass", value=0.95), gate("b", "fail", value=0.5), gate("c", "inconclusive", value=0.9))
    first = markdown([run(part(gates=gates), cost=Decimal("0.41"))]).splitlines()[0]
    assert first == "### ❌ `ft:new` does not ship: 1 of 3 gates passed, 1 failed, 1 inconclusive, $0.41"


def test_a_measured_value_is_not_rounded_onto_the_bar_next_to_it():
    text = markdown([run(part(gates=(gate("accuracy>=0.9", "fail", value=0.8996, low=0.2, high=0.95),)))])
    assert "| ⚪ fail | `accuracy>=0.9` | 0.8996 [0.200, 0.950] | 0.9 | -0.0004 | 9 |" in text


def test_a_set_without_gates_ships_only_when_every_case_passes():
    free = replace(part(), settings=EvalSettings())
    assert markdown([run(free)]).startswith("### ❌ `ft:new` does not ship: 0 of 3 cases passed (all must pass)")


def test_a_baseline_in_the_same_session_gets_no_verdict():
    text = markdown([run(part(), model="old", judged=False), run(part())])
    assert "`old`" not in text


def test_several_models_are_summarised_first_and_then_shown_one_by_one():
    lines = markdown([run(part(), model="ft:a"), run(part(), model="ft:b")]).splitlines()
    assert [line.partition(" does")[0] for line in lines[:2]] == ["### ❌ `ft:a`", "### ❌ `ft:b`"]
    assert [line for line in lines if line.startswith("####")] == ["#### `ft:a`", "#### `ft:b`"]


def test_a_long_report_is_cut_between_two_rows_and_counts_the_rest():
    parts = [part(8, name=f"eval_sets/{n}.jsonl", text="words " * 30, ids="case-" * 15) for n in range(40)]
    text = markdown([run(*parts)])
    assert LIMIT - 1_000 < len(text) <= LIMIT
    last_line = text.splitlines()[-1]
    assert re.fullmatch(r"Left out to stay within 60,000 characters: .*[0-9]+ flips.*\.", last_line)
    assert all(line.endswith("|") for line in text.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("limit", [1_000, 1_500, 3_000])
def test_a_table_head_is_never_without_rows(limit):
    parts = [part(8, name=f"eval_sets/{n}.jsonl", text="words " * 30) for n in range(9)]
    lines = markdown([run(*parts)], limit=limit).splitlines()
    assert len("\n".join(lines)) < limit
    assert all(lines[n + 1].startswith("|") for n, line in enumerate(lines) if line.startswith("|---"))


def test_ten_flips_and_five_misses_of_a_set_are_shown():
    text = markdown([run(part(30))])
    assert text.count("| lost | `case-") == 10
    assert "20 more flips are in the run record." in text
    assert len(re.findall("^[|] `case-", text, re.MULTILINE)) == 5


def test_redacted_answers_are_fingerprints():
    secret = replace(part(text="a secret answer"), baseline="production")
    text = markdown([run(secret, stopped=Failure("auth", "HTTP 401: a secret answer", 401))], redact=True)
    assert "Stopped early: auth: HTTP 401`" in text
    assert "secret" not in text
    assert "sha256:" in text
