"""Which gates guard the quality of a set, and the outcome for a model over all sets."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sample_plans import case, cases, run_of, table

from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.outcome import Outcome, outcome_of
from pytest_finetune.verdicts.gates.quality import guards_quality, quality_is_guarded
from pytest_finetune.verdicts.rule import Rule

PASS, FAIL, OPEN, INCOMPLETE = Status.PASS, Status.FAIL, Status.INCONCLUSIVE, Status.INCOMPLETE
ACCURATE = Rule("min", "accuracy", 0.9)
FAST = Rule("max", "latency_p95", 2.0)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "score", "field_accuracy"])
def test_a_bar_on_any_measure_of_right_answers_guards_quality(metric):
    assert guards_quality(Rule("min", metric, 0.9), 10, 10) is True
    assert guards_quality(Rule("max_drop", metric, 0.1, against="production"), 10, 10) is True


@pytest.mark.parametrize("metric", ["valid_rate", "format_stability"])
def test_a_bar_on_the_form_guards_quality_where_the_form_decides(metric):
    rules = [Rule("min", metric, 0.9), Rule("max_drop", metric, 0.1, against="production")]
    for rule in rules:
        assert guards_quality(rule, 10, 10, form_decides=True) is True
        assert guards_quality(rule, 10, 10) is False


@pytest.mark.parametrize("metric", ["agreement", "error_rate", "latency_p50", "tokens_per_case", "cost_per_case"])
def test_a_bar_on_anything_else_does_not(metric):
    assert guards_quality(Rule("min", metric, 0.9), 10, 10) is False
    assert guards_quality(Rule("max_drop", metric, 0.1, against="production"), 10, 10) is False


@pytest.mark.parametrize("metric", ["accuracy", "error_rate"])
def test_an_upper_bar_does_not_guard_quality(metric):
    assert guards_quality(Rule("max", metric, 0.9), 10, 10) is False


def test_a_bar_of_zero_is_met_by_any_answer():
    assert guards_quality(Rule("min", "accuracy", 0), 10, 10) is False
    assert guards_quality(Rule("min", "accuracy", 0.001), 10, 10) is True
    assert guards_quality(Rule("min", "accuracy", 1), 10, 10) is True


def test_no_drop_and_no_flip_at_all_is_the_strictest_guard():
    assert guards_quality(Rule("max_drop", "accuracy", 0, against="production"), 10, 10) is True
    assert guards_quality(Rule("max_flips", bar=0, against="production"), 2, 2) is True


def test_a_gate_on_a_slice_does_not_guard_the_set():
    assert guards_quality(ACCURATE, 9, 10) is False
    assert guards_quality(Rule("must_pass", tags=("a",)), 9, 10) is False
    assert guards_quality(Rule("must_pass", tags=("a",)), 10, 10) is True


@pytest.mark.parametrize(("bar", "guards"), [(0.49, True), (0.5, False), (1.0, False)])
def test_a_drop_by_half_lets_nonsense_replace_a_mediocre_baseline(bar, guards):
    assert guards_quality(Rule("max_drop", "accuracy", bar, against="production"), 10, 10) is guards


@pytest.mark.parametrize(("flips", "guards"), [(4, True), (5, False), (9, False)])
def test_as_many_flips_as_half_of_the_cases_do_not_guard_quality(flips, guards):
    assert guards_quality(Rule("max_flips", bar=flips, against="production"), 10, 10) is guards


def test_a_set_is_guarded_if_one_of_its_gates_covers_every_case_well():
    planned = [case(0, tags=("a",)), case(1)]
    sliced = Rule("min", "accuracy", 0.9, where={"tag": "a"})
    assert not quality_is_guarded([FAST, sliced], planned)
    assert quality_is_guarded([FAST, sliced, ACCURATE], planned)
    assert quality_is_guarded([sliced], planned[:1])


@dataclass(frozen=True)
class Judged:
    name: str
    gated: bool
    statuses: tuple[Status, ...]
    rules: tuple[tuple[Rule | None, int], ...]
    passed: int = 3
    missed: int = 0
    form_decides: bool = False

    @property
    def summary(self):
        return table(cases(self.passed + self.missed), run_of(self.passed, self.missed)).summary


def gated(*statuses: Status, rules: tuple[tuple[Rule | None, int], ...] = ((ACCURATE, 3),)) -> Judged:
    return Judged("tickets", gated=True, statuses=statuses, rules=rules)


def ungated(status: Status, passed: int, missed: int = 0) -> Judged:
    rules = ((Rule("min", "accuracy", 1.0), passed + missed),)
    return Judged("notes", gated=False, statuses=(status,), rules=rules, passed=passed, missed=missed)


@pytest.mark.parametrize(
    ("statuses", "worst", "words"),
    [
        ((PASS, PASS), PASS, "ships"),
        ((PASS, OPEN), OPEN, "does not ship yet"),
        ((OPEN, INCOMPLETE), INCOMPLETE, "does not ship yet"),
        ((INCOMPLETE, FAIL, PASS), FAIL, "does not ship"),
        ((), INCOMPLETE, "does not ship yet"),
    ],
)
def test_the_worst_verdict_decides_whether_a_model_ships(statuses, worst, words):
    outcome = outcome_of([gated(*statuses)])
    assert (outcome.status, outcome.words) == (worst, words)


def test_a_set_without_gates_stops_a_model_that_passes_every_gate():
    outcome = outcome_of([gated(PASS), ungated(FAIL, 2, 1)])
    assert (outcome.status, outcome.words) == (FAIL, "does not ship")
    assert outcome.reasons == "1 of 1 gates passed; 2 of 3 cases passed (all must pass)"
    assert outcome_of([ungated(PASS, 3)]).status is PASS


def test_cases_that_were_not_run_are_counted_as_such():
    some = table(cases(4), run_of(1, 1))
    outcome = Outcome((), (some.summary,), (INCOMPLETE,))
    assert outcome.reasons == "1 of 4 cases passed, 2 not run (all must pass)"


def test_reasons_count_gates_by_verdict():
    assert outcome_of([gated(PASS, PASS)]).reasons == "2 of 2 gates passed"
    assert outcome_of([gated(PASS, FAIL), gated(FAIL, OPEN, INCOMPLETE)]).reasons == (
        "1 of 5 gates passed, 2 failed, 1 inconclusive, 1 incomplete"
    )
    assert outcome_of([gated(*[PASS] * 1200, FAIL)]).reasons == "1,200 of 1,201 gates passed, 1 failed"


def test_a_model_without_verdicts_does_not_ship():
    assert outcome_of([]).reasons == "nothing was judged"
    assert outcome_of([]).words == "does not ship yet"


def test_a_run_that_stopped_early_is_not_evidence_for_a_promotion():
    early = "decided early, so it is no evidence for a promotion"
    assert outcome_of([gated(PASS)], early=True).reasons == f"1 of 1 gates passed; {early}"
    assert early not in outcome_of([gated(PASS)]).reasons
    assert early not in Outcome((PASS,)).reasons


def test_sets_that_no_gate_guards_are_counted_and_named():
    fast = gated(PASS, rules=((FAST, 3),))
    one, two = outcome_of([gated(PASS), fast]), outcome_of([fast, fast])
    assert one.warnings == ("No gate guards the quality of tickets over all its cases.",)
    assert one.reasons.endswith("; 1 eval set without a gate on quality")
    assert two.reasons.endswith("; 2 eval sets without a gate on quality")
    assert outcome_of([gated(PASS)]).warnings == ()


def test_a_set_is_unguarded_only_if_what_its_gates_demand_is_known():
    assert outcome_of([gated(PASS, rules=((None, 3), (FAST, 3)))]).unguarded == ()
    assert outcome_of([gated(PASS, rules=())]).unguarded == ()
    assert outcome_of([gated(PASS, rules=((ACCURATE, 2),))]).unguarded == ("tickets",)
    assert outcome_of([gated(PASS, rules=((FAST, 3), (ACCURATE, 3)))]).unguarded == ()


def test_a_set_without_gates_is_never_unguarded_for_all_its_cases_must_pass():
    assert outcome_of([Judged("notes", gated=False, statuses=(PASS,), rules=((FAST, 3),))]).unguarded == ()
