"""With several scorers, no gate passes on scores of another scorer, or on scores that do not exist."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sample_plans import cases, rules, run_of, table

from pytest_finetune.base.records import Score, State
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend
from pytest_finetune.verdicts.gates import Baseline, Decider, Status, judge
from pytest_finetune.verdicts.gates.quality import guards_quality
from pytest_finetune.verdicts.gates.strictness import lost_demand

FORM = {"min": 0.9, "scorer": "form"}
TWO = (
    '[[scorers]]\ntype = "contains"\n[[scorers]]\nname = "form"\ntype = "regex"\nexpected = "form"\n'
    "[[gates]]\nmin = 1.0\n"
)
FORM_GATE = '[[gates]]\nmin = 1.0\nscorer = "form"\n'
JUDGE = (
    "def judge(case, completion):\n    if completion.text == 'b':\n        raise RuntimeError('no')\n    return True\n"
)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def with_parts(samples, passed):
    return [
        one if one.score is None else replace(one, score=replace(one.score, parts={"form": Score(passed)}))
        for one in samples
    ]


def test_a_gate_follows_the_scorer_that_it_names_and_no_other():
    for main, part in ((True, False), (False, True)):
        samples = with_parts(run_of(10 * main, 10 * (not main)), part)
        verdicts = judge(rules({"min": 0.9}, FORM), table(cases(10), samples))
        assert [verdict.status is Status.PASS for verdict in verdicts] == [main, part]


@pytest.mark.parametrize(
    "gate",
    [FORM, {**FORM, "max_errors": 10}, {"max": 0.5, "scorer": "form"}, {**FORM, "min": 0, "metric": "agreement"}],
)
def test_an_answer_without_a_score_of_the_scorer_is_no_evidence(gate):
    samples = with_parts(run_of(9), passed=True)
    (alone,) = run_of(10)[9:]
    (verdict,) = judge(rules(gate), table(cases(10), [*samples, alone]))
    assert verdict.status is Status.INCOMPLETE
    assert verdict.message == "incomplete: 1 of 10 samples have no score of form: score them with replay:"


def test_a_passed_sample_without_any_score_is_no_evidence_either():
    samples = [replace(one, score=None) for one in run_of(10)]
    (verdict,) = judge(rules({**FORM, "max_errors": 10}), table(cases(10), samples))
    assert verdict.status is Status.INCOMPLETE


@pytest.mark.parametrize("gate", [{"max_flips": 3, "scorer": "form"}, {"max_drop": 0.5, "scorer": "form"}])
def test_a_baseline_without_scores_of_the_scorer_is_not_compared(gate):
    old, new = run_of(10), with_parts(run_of(10), passed=True)
    baseline = Baseline("old", "today", 1, old)
    (verdict,) = judge(rules({**gate, "against": "old"}), table(cases(10), new), baseline)
    assert verdict.status is Status.INCOMPLETE
    assert "10 of 10 baseline samples have no score of form" in verdict.message
    scored = replace(baseline, samples=with_parts(old, passed=True))
    assert judge(rules({**gate, "against": "old"}), table(cases(10), new), scored)[0].status is Status.PASS


def test_stopping_early_counts_the_scores_of_the_named_scorer():
    decider = Decider(rules(FORM), table(cases(10), ()))
    for one in with_parts(run_of(10), passed=False):
        decider.add(one)
    assert [verdict.status for verdict in decider.verdicts() or ()] == [Status.FAIL]
    decider = Decider(rules({**FORM, "max_errors": 10}), table(cases(10), ()))
    for one in run_of(10):
        decider.add(one)
    assert [verdict.status for verdict in decider.verdicts() or ()] == [Status.INCOMPLETE]


def test_a_gate_on_another_scorer_neither_guards_quality_nor_replaces_one_that_does():
    (main, form) = rules({"min": 1.0}, {"min": 1.0, "scorer": "form"})
    assert guards_quality(main, 10, 10)
    assert not guards_quality(form, 10, 10)
    assert lost_demand(main, [form]) == "no gate demands it now"
    assert lost_demand(form, [main]) == "no gate demands it now"
    assert not lost_demand(form, [main, form])


def test_errors_and_unrun_samples_stay_what_they_are_for_every_scorer():
    samples = with_parts(run_of(8, errors=1), passed=True)
    plan = table(cases(10), samples).part("form").summary
    assert (plan.counts[State.PASSED], plan.counts[State.ERROR], plan.counts[State.UNRUN]) == (8, 1, 1)


@pytest.fixture
def registry(pytester):
    backend = FileBackend(pytester.path / "registry.json")
    backend.update(Change("add", "v1", who="test", entry=Entry(model_id="ft:test", created_at=NOW)), now=NOW)
    return backend


@pytest.mark.parametrize(("form", "promoted"), [("[a-z]", True), ("[A-Z]", False)])
def test_a_failing_gate_of_a_scorer_that_does_not_decide_blocks_a_promotion(suite, evaluate, registry, form, promoted):
    suite(["a", "b", "c"], toml=TWO + FORM_GATE, metadata={"form": form})
    result = evaluate("-v", "--promote")
    assert (result.ret == 0) is promoted
    assert registry.read().entries["v1"].status.value == ("production" if promoted else "candidate")
    if not promoted:
        result.stdout.fnmatch_lines(["*gate?accuracy>=1,scorer=form? FAILED*"])


def test_gates_on_other_scorers_alone_are_named_as_no_guard(suite, evaluate, registry):
    suite(["x", "y"], inputs=["a", "b"], toml=TWO.partition("[[gates]]")[0] + FORM_GATE, metadata={"form": "[a-z]"})
    result = evaluate("--promote")
    result.stdout.fnmatch_lines(["*No gate guards the quality of eval_sets/tickets.jsonl over all its cases.*"])
    assert registry.read().entries["v1"].status.value == "candidate"


def test_an_answer_that_one_scorer_cannot_score_is_in_error(suite, evaluate, pytester):
    suite(["a", "b"], toml='[[scorers]]\ntype = "exact"\n[[scorers]]\ntype = "judges:judge"\n[[gates]]\nmin = 0.5\n')
    (pytester.path / "eval_sets/judges.py").write_text(JUDGE)
    result = evaluate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*error: *judges:judge*RuntimeError: no*"])
    (manifest,) = (pytester.path / ".finetune/runs").glob("*/manifest.json")
    verdict = json.loads(manifest.read_text())["verdicts"][0]
    assert verdict["status"] == "incomplete"


def test_a_judge_that_changed_cannot_be_resumed_or_promoted_over(suite, evaluate, pytester):
    suite(["a"], toml='[[scorers]]\ntype = "exact"\n[[scorers]]\ntype = "judges:judge"\n')
    judges = pytester.path / "eval_sets/judges.py"
    hashes = set()
    for text in (JUDGE, JUDGE.replace("True", "False")):
        judges.write_text(text)
        evaluate()
        newest = max(
            (pytester.path / ".finetune/runs").glob("*/manifest.json"), key=lambda path: path.stat().st_mtime_ns
        )
        hashes.add(json.loads(newest.read_text())["eval_sets"][0]["settings_sha256"])
    assert len(hashes) == 2
