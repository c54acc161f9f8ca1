"""Promotion on a run that sequential gates stopped: what was left out must follow from its own answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from recorded_runs import TICKETS
from registry_evidence import MODEL, edited, recorded, replaced, rewritten, write_set

from pytest_finetune.base.records import Sample, Score, State
from pytest_finetune.evaluation.plan import set_plan
from pytest_finetune.evaluation.runs import BaselineRecord, Totals
from pytest_finetune.lifecycle.registry.entry import Entry
from pytest_finetune.lifecycle.registry.evidence import evidence_of
from pytest_finetune.lifecycle.registry.promotion import refusals

NOW = datetime(2026, 3, 10, tzinfo=UTC)
GATE = '[[gates]]\nmin = 0.8\nconfidence = 0.95\nsequential = "pocock"\n'
PAIRED = '[[gates]]\nmax_drop = 0.2\nagainst = "baseline"\nconfidence = 0.95\nsequential = "pocock"\n'
PASSED = (("accuracy>=0.8", "pass"),)


def refused(proof, *eval_sets):
    entry = Entry(model_id=MODEL, created_at=NOW)
    return refusals(entry, proof, list(eval_sets), now=NOW, plugin_version="0.1.0")


@pytest.fixture
def tickets(tmp_path):
    return write_set(tmp_path, cases=100, toml=GATE)


def letters_of(eval_set, asked, letter="p"):
    """A letter for each case in file order, `.` for those that come later than the first `asked` in asking order."""
    first = {case.id for case in eval_set.in_asking_order[:asked]}
    return "".join(letter if case.id in first else "." for case in eval_set.cases)


def stopped(record, eval_set, asked, verdicts=PASSED, **facts):
    run = recorded(record, eval_set, letters_of(eval_set, asked), verdicts=verdicts, **facts)
    totals = Totals(planned=100, passed=asked, unneeded=100 - asked)
    return rewritten(run, totals=totals, unneeded_by_set={eval_set.name: 100 - asked})


def test_a_run_that_stopped_at_a_look_is_evidence(record, tickets):
    assert refused(stopped(record, tickets, 40), tickets) == []


def test_a_run_cut_before_the_look_that_decides_is_not(record, tickets):
    (reason,) = refused(stopped(record, tickets, 39), tickets)
    assert reason == f"{TICKETS}: gate accuracy>=0.8 is pass in the manifest, incomplete by the samples"


def test_answers_to_other_cases_do_not_replace_those_that_were_to_be_asked_first(record, tickets):
    last = [case.id for case in tickets.in_asking_order[-60:]]
    letters = "".join("p" if case.id in last else "." for case in tickets.cases)
    run = recorded(record, tickets, letters, verdicts=PASSED)
    totals = Totals(planned=100, passed=60, unneeded=40)
    (reason,) = refused(rewritten(run, totals=totals, unneeded_by_set={TICKETS: 40}), tickets)
    assert "incomplete by the samples" in reason


def test_answers_that_do_not_cross_the_boundary_are_not_evidence(record, tickets):
    run = stopped(record, tickets, 40)
    missed = [case.id for case in tickets.in_asking_order[:40:5]]
    for one in list(run.samples().values()):
        if one.case_id in missed:
            replaced(run, Sample(*one.key, State.MISSED, one.completion, Score(passed=False)))
    (reason,) = refused(rewritten(run), tickets)
    assert "incomplete by the samples" in reason


def test_samples_that_were_not_run_are_not_taken_for_unneeded_ones(record, tickets):
    run = stopped(record, tickets, 40)
    totals = Totals(planned=100, passed=40, unrun=60)
    reasons = refused(rewritten(run, totals=totals, unneeded_by_set={}), tickets)
    assert "60 of 100 samples were not run" in reasons


def test_a_set_without_sequential_gates_cannot_claim_to_have_stopped(record, tmp_path):
    fixed = write_set(tmp_path, cases=100, toml=GATE.replace('sequential = "pocock"\n', ""))
    reasons = refused(stopped(record, fixed, 40), fixed)
    assert reasons[0] == "60 samples were not requested (--stop-when-decided): run without it"
    assert "incomplete by the samples" in reasons[1]


def test_a_manifest_edited_by_hand_is_refused(record, tickets):
    run = stopped(record, tickets, 40)
    assert refused(edited(run, totals=Totals(planned=100, passed=40, unneeded=60, cost=None)), tickets) == []
    assert refused(edited(run, unneeded_by_set={TICKETS: 61}), tickets)


def test_stored_evidence_of_a_stopped_run_asks_for_the_record(record, tickets):
    run = stopped(record, tickets, 40)
    assert refused(evidence_of(run, [tickets]), tickets) == [
        f"{TICKETS}: 60 samples are unneeded: only the record can prove that: --run {run.id}"
    ]


def test_a_stop_by_a_comparison_is_judged_again_with_the_record_of_the_baseline(record, tmp_path):
    paired = write_set(tmp_path, cases=100, toml=GATE + PAIRED)
    before = recorded(record, paired, "p" * 90 + "m" * 10, spec="ft:old", plans=[set_plan(paired, "ft:old")])
    before = rewritten(before, answered_by=("ft:old",))
    verdicts = (*PASSED, ("accuracy_drop<=0.2,vs=baseline", "pass"))
    known = BaselineRecord(name="replay:old", model="ft:old", run=before.id, base_url="http://127.0.0.1:1/v1")
    run = stopped(record, paired, 40, verdicts=verdicts, baselines=(known,))
    assert refused(run, paired) == []
    gone = stopped(record, paired, 40, verdicts=verdicts, baselines=(known.model_copy(update={"run": "gone"}),))
    assert [reason.split(": ", 1)[1] for reason in refused(gone, paired)] == [
        "gate accuracy>=0.8 is pass in the manifest, incomplete by the samples",
        "gate accuracy_drop<=0.2,vs=baseline is pass in the manifest, incomplete by the samples",
    ]
