"""A version is not promoted over one that passed stricter gates, unless it is forced with a reason."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_plans import case, rules, sample, table

from pytest_finetune.base.records import State
from pytest_finetune.evaluation.plan import set_plan
from pytest_finetune.evaluation.results import verdict_record
from pytest_finetune.lifecycle.registry import Change, Entry, Evidence, EvidenceSet, FileBackend, Registry, apply
from pytest_finetune.lifecycle.registry.weakened_gates import changes_since_production, weakened_gates
from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.loading import load_eval_sets

NOW = datetime(2026, 3, 10, tzinfo=UTC)
NAME = "eval_sets/s.jsonl"


def gate_lines(*gates):
    return "".join(
        "[[gates]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in gate.items()) for gate in gates
    )


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


@pytest.fixture
def eval_set(tmp_path):
    """An eval set of 8 cases, half of them tagged `hard`, and a quarter `rare`."""

    def write(*gates, name=NAME, count=8, hard=4, more=""):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        tags = [[*(["hard"] if n < hard else []), *(["rare"] if n < 2 else [])] for n in range(count)]
        rows = [{"id": f"c{n}", "input": f"{n}", "expected": "bug", "tags": tags[n]} for n in range(count)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        scorer = "" if "scorer" in more else 'scorer = "label"\nlabels = ["bug", "other"]\n'
        path.with_suffix(".toml").write_text(scorer + more + gate_lines(*gates), "utf-8")
        return load_eval_sets([path], root=tmp_path)[0]

    return write


def evidence(*eval_sets):
    """The evidence of a run in which every case passed."""
    stored = []
    for one in eval_sets:
        planned = [(case, attempt) for case in one.cases for attempt in range(one.repeats)]
        samples = [sample(int(case.id[1:]), State.PASSED, attempt) for case, attempt in planned]
        verdicts = judge(one.settings.judged_by, one.table(samples))
        plan = set_plan(one, "m").model_dump(include={"name", "cases", "repeats", "cases_sha256", "settings_sha256"})
        stored.append(EvidenceSet(**plan, verdicts=tuple(map(verdict_record, verdicts))))
    return Evidence(run_id="r", spec="m", model_id="m", closed_at=NOW, pytest_finetune="0.1.0", eval_sets=tuple(stored))


def registry_of(*steps):
    registry = Registry()
    for action, version, given_evidence in steps:
        entry = Entry(model_id=version, created_at=NOW) if action == "add" else None
        change = Change(action, version, "test", "why", forced=True, evidence=given_evidence, entry=entry)
        registry = apply(registry, change, now=NOW)
    return registry


def in_production(*eval_sets):
    return registry_of(("add", "v1", None), ("promote", "v1", evidence(*eval_sets)), ("add", "v2", None))


ACCURACY = {"min": 0.9}
HARD = {"min": 0.8, "where": {"tag": "hard"}}
WEAKER = {
    "removed": ([ACCURACY, {"metric": "valid_rate", "min": 0.9}], [ACCURACY], "had to pass valid_rate>=0.9: no gate"),
    "another metric": ([ACCURACY], [{"metric": "valid_rate", "min": 1}], "had to pass accuracy>=0.9: no gate"),
    "turned around": ([ACCURACY], [{"max": 1}], "had to pass accuracy>=0.9: no gate"),
    "lower min": ([ACCURACY], [{"min": 0.89}], "min 0.89 instead of 0.9"),
    "higher max": (
        [ACCURACY, {"metric": "latency_p95", "max": 2}],
        [ACCURACY, {"metric": "latency_p95", "max": 2.5}],
        "max 2.5 instead of 2",
    ),
    "larger drop": (
        [{"max_drop": 0.01, "against": "production"}],
        [{"max_drop": 0.02, "against": "production"}],
        "max_drop 0.02 instead of 0.01",
    ),
    "more flips": (
        [{"max_flips": 0, "against": "production"}],
        [{"max_flips": 1, "against": "production"}],
        "max_flips 1 instead of 0",
    ),
    "another baseline": (
        [{"max_flips": 0, "against": "production"}],
        [{"max_flips": 0, "against": "replay:x"}],
        "against replay:x instead of production",
    ),
    "confidence dropped": (
        [{"min": 0.6, "confidence": 0.9}],
        [{"min": 0.6}],
        "confidence dropped instead of 0.9",
    ),
    "confidence lowered": (
        [{"min": 0.6, "confidence": 0.9}],
        [{"min": 0.6, "confidence": 0.8}],
        "confidence 0.8 instead of 0.9",
    ),
    "slice narrowed": ([ACCURACY], [{**ACCURACY, "where": {"tag": "hard"}}], "tag=hard instead of all cases"),
    "another slice": (
        [ACCURACY, HARD],
        [ACCURACY, {**HARD, "where": {"tag": "rare"}}],
        "tag=rare instead of tag=hard",
    ),
    "a mean that hides the slice": ([ACCURACY, HARD], [ACCURACY], "all cases instead of tag=hard"),
    "tag dropped": (
        [ACCURACY, {"must_pass": ["hard", "rare"]}],
        [ACCURACY, {"must_pass": ["hard"]}],
        "must_pass without rare",
    ),
    "errors tolerated": ([ACCURACY], [{**ACCURACY, "max_errors": 1}], "max_errors 1 instead of 0"),
    "passes easier": (
        [{"min": 0.9, "per_case": "3 of 3"}],
        [{"min": 0.9, "per_case": "2 of 3"}],
        "per_case 2 of 3 instead of 3 of 3",
    ),
    "one pass is enough": ([ACCURACY], [{"min": 0.9, "per_case": "1 of 3"}], "per_case 1 of 3 instead of none"),
    "no gates before": ([], [ACCURACY], "had to pass accuracy>=1"),
}


@pytest.mark.parametrize(("before", "now", "clause"), WEAKER.values(), ids=WEAKER)
def test_a_weakened_gate_is_named(eval_set, before, now, clause):
    repeats = "[stability]\nrepeats = 3\n" if "per_case" in str(before + now) else ""
    registry = in_production(eval_set(*before, more=repeats))
    (text,) = weakened_gates(registry, [eval_set(*now, more=repeats)])
    assert text.startswith(f"{NAME}: production had to pass ")
    assert clause in text


STRICTER = {
    "the same": ([ACCURACY, HARD], [HARD, ACCURACY]),
    "higher min": ([ACCURACY], [{"min": 0.95}]),
    "one more gate": ([ACCURACY], [ACCURACY, HARD]),
    "lower max": ([ACCURACY, {"metric": "cost_per_case", "max": 2}], [ACCURACY, {"metric": "cost_per_case", "max": 1}]),
    "confidence added": ([{"min": 0.6}], [{"min": 0.6, "confidence": 0.9}]),
    "confidence raised": ([{"min": 0.6, "confidence": 0.9}], [{"min": 0.6, "confidence": 0.95}]),
    "tags in two gates": ([{"must_pass": ["hard", "rare"]}], [{"must_pass": ["rare"]}, {"must_pass": ["hard"]}]),
    "more tags": ([{"must_pass": ["hard"]}], [{"must_pass": ["rare", "hard"]}]),
    "all must pass": ([ACCURACY, HARD, {"must_pass": ["hard"]}], []),
    "all attempts": ([ACCURACY], [{"min": 0.9, "per_case": "3 of 3"}]),
    "more attempts": ([{"min": 0.9, "per_case": "2 of 3"}], [{"min": 0.9, "per_case": "3 of 3"}]),
    "fewer flips": ([{"max_flips": 2, "against": "production"}], [{"max_flips": 0, "against": "production"}]),
}


@pytest.mark.parametrize(("before", "now"), STRICTER.values(), ids=STRICTER)
def test_an_equally_strict_gate_is_not_named(eval_set, before, now):
    repeats = "[stability]\nrepeats = 3\n" if "per_case" in str(before + now) else ""
    registry = in_production(eval_set(*before, more=repeats))
    assert weakened_gates(registry, [eval_set(*now, more=repeats)]) == []


def test_fewer_cases_fewer_attempts_and_a_thinner_slice_are_named(eval_set):
    registry = in_production(eval_set(HARD, more="[stability]\nrepeats = 3\n"))
    assert weakened_gates(registry, [eval_set(HARD, count=7)]) == [
        f"{NAME}: production was evaluated on 8 cases, and now there are 7",
        f"{NAME}: production was evaluated with 3 attempts per case, and now there are 1",
    ]
    (text,) = weakened_gates(registry, [eval_set(HARD, hard=3, more="[stability]\nrepeats = 3\n")])
    assert text.endswith("had to pass accuracy>=0.8,tag=hard: its slice had 4 cases and has 3")


def test_fewer_cases_of_a_label_are_named(eval_set):
    gate = {"metric": "recall", "label": "bug", "min": 0.8}
    fewer, _ = weakened_gates(in_production(eval_set(gate)), [eval_set(gate, count=7)])[::-1]
    assert fewer.endswith("had to pass recall>=0.8,label=bug: its slice had 8 cases and has 7")


def test_a_set_is_held_to_its_gates_under_another_name(eval_set):
    registry = in_production(eval_set(ACCURACY))
    (text,) = weakened_gates(registry, [eval_set({"min": 0.5}, name="eval_sets/renamed.jsonl")])
    assert text.startswith("eval_sets/renamed.jsonl: production had to pass accuracy>=0.9")


def test_a_retired_production_is_still_the_measure(eval_set):
    """A version that was forced into production without evidence does not lift the gates of its predecessor either."""
    before, lax = evidence(eval_set(ACCURACY)), eval_set({"min": 0.5})
    first = [("add", "v1", None), ("promote", "v1", before), ("add", "v2", None)]
    for then in (("retire", "v1", None), ("promote", "v2", None)):
        assert len(weakened_gates(registry_of(*first, then), [lax])) == 1


def test_after_a_forced_promotion_its_own_gates_are_the_measure(eval_set):
    strict, lax = evidence(eval_set(ACCURACY)), evidence(eval_set({"min": 0.5}))
    registry = registry_of(
        ("add", "v1", None), ("promote", "v1", strict), ("add", "v2", None), ("promote", "v2", lax), ("add", "v3", None)
    )
    assert weakened_gates(registry, [eval_set({"min": 0.5})]) == []


def test_a_gate_that_production_failed_is_a_gate_all_the_same(eval_set):
    stored = evidence(eval_set(ACCURACY))
    failed = stored.eval_sets[0].verdicts[0].model_copy(update={"status": "fail"})
    sets = (stored.eval_sets[0].model_copy(update={"verdicts": (failed,)}),)
    registry = registry_of(("add", "v1", None), ("promote", "v1", stored.model_copy(update={"eval_sets": sets})))
    assert len(weakened_gates(registry, [eval_set({"min": 0.1})])) == 1


def test_a_record_without_rules_is_compared_by_label(eval_set):
    stored = evidence(eval_set(ACCURACY))
    bare = stored.eval_sets[0].verdicts[0].model_copy(update={"rule": None})
    sets = (stored.eval_sets[0].model_copy(update={"verdicts": (bare,)}),)
    registry = registry_of(("add", "v1", None), ("promote", "v1", stored.model_copy(update={"eval_sets": sets})))
    assert weakened_gates(registry, [eval_set(ACCURACY)]) == []
    assert len(weakened_gates(registry, [eval_set(HARD)])) == 1


def test_changed_cases_and_settings_are_a_caution(eval_set):
    """Only a person can say whether they became easier."""
    registry = in_production(eval_set(ACCURACY))
    assert changes_since_production(registry, [eval_set(ACCURACY)]) == []
    changed = eval_set(ACCURACY, count=9, more='scorer = "contains"\n')
    assert weakened_gates(registry, [changed]) == []
    assert changes_since_production(registry, [changed]) == [
        f"{NAME}: cases and settings changed since production was evaluated; check that it has not become easier"
    ]


CASES = [case(n, tags=("hard",) if n < 2 else ("easy",)) for n in range(4)]
GATES = st.one_of(
    st.fixed_dictionaries(
        {"metric": st.sampled_from(["accuracy", "valid_rate"]), "min": st.sampled_from([0.25, 0.5, 0.75, 1.0])},
        optional={"where": st.just({"tag": "hard"}), "confidence": st.sampled_from([0.6, 0.9])},
    ),
    st.fixed_dictionaries(
        {"min": st.sampled_from([0.25, 0.5, 1.0])},
        optional={"per_case": st.sampled_from(["1 of 2", "2 of 2"]), "max_errors": st.just(1)},
    ),
    st.fixed_dictionaries({"must_pass": st.sampled_from([["hard"], ["easy"], ["hard", "easy"]])}),
    st.fixed_dictionaries({"max_flips": st.integers(0, 2), "against": st.just("b")}),
    st.fixed_dictionaries(
        {"max_drop": st.sampled_from([0.0, 0.25]), "against": st.just("b")},
        optional={"where": st.just({"tag": "hard"})},
    ),
)
STATES = st.lists(st.sampled_from([State.PASSED, State.MISSED, State.ERROR]), min_size=8, max_size=8)


def plan_of(states):
    return [sample(at // 2, state, at % 2) for at, state in enumerate(states)]


@given(st.lists(GATES, max_size=3), GATES, STATES, STATES)
def test_answers_that_pass_gates_without_a_loss_pass_the_old_gate(now, before, answers, others):
    """Compared with the verdicts, which are computed without `lost_demand`."""
    (old,), new = rules(before), [rule for gate in now for rule in rules(gate)]
    baseline = Baseline("b", "today", 2, plan_of([State.MISSED if one is State.ERROR else one for one in others]))
    new_verdicts = judge(new, table(CASES, plan_of(answers), 2), baseline)
    (verdict,) = judge([old], table(CASES, plan_of(answers), 2), baseline)
    if not lost_demand(old, new) and all(one.status is Status.PASS for one in new_verdicts):
        assert verdict.status is Status.PASS


@pytest.fixture
def production(pytester, suite, evaluate):
    """v1 in production with a strict gate; v2 is the next candidate, of the same model, with a lax gate."""
    backend = FileBackend(pytester.path / "registry.json")
    for version, model in (("v1", "ft:one"), ("v2", "ft:two")):
        entry = Entry(model_id=model, created_at=NOW)
        backend.update(Change("add", version, who="test", entry=entry), now=NOW)
    suite(["a", "b", "c"], toml="[[gates]]\nmin = 0.9\n")
    assert evaluate("--promote", model="ft:one").ret == 0
    suite(["a", "b", "c"], toml="[[gates]]\nmin = 0.5\n")
    return backend


def test_the_session_and_the_command_refuse_alike(pytester, evaluate, production):
    result = evaluate("--promote", model="ft:two")
    assert result.ret == 1
    reason = "production had to pass accuracy>=0.9: now accuracy>=0.5 with min 0.5 instead of 0.9"
    assert reason in " ".join(result.stdout.str().split())
    promote = ["registry", "promote", "v2", "--run", "last"]
    command = [sys.executable, "-c", "from pytest_finetune.cli import main; main()", *promote]
    result = pytester.run(*command)
    assert result.ret == 1
    assert reason in " ".join((result.stdout.str() + result.stderr.str()).split())
    assert production.read().entries["v2"].status.value == "candidate"
    assert pytester.run(*command, "--force", "--reason", "a smaller model").ret == 0
    assert reason in production.read().history[-1].why
