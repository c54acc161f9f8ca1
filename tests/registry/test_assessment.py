"""Whether a step of a version may be taken, and the change that takes it, with what it overrides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from recorded_runs import TICKETS
from registry_evidence import AGAINST, GATE, MODEL, recorded, rewritten, write_set

from pytest_finetune.evaluation.runs import TargetInfo
from pytest_finetune.lifecycle.registry import Change, Entry, Registry, apply
from pytest_finetune.lifecycle.registry.assessment import assess
from pytest_finetune.lifecycle.registry.evidence import evidence_of
from pytest_finetune.lifecycle.registry.judged_sets import JudgedSets

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DIRTY = "the run was made with uncommitted changes, so its commit does not identify the code"
NO_EVIDENCE = "there is no evidence yet: evaluate it with pytest --model=…, and name the run with --run"


@pytest.fixture
def run(record, tickets):
    return recorded(record, tickets)


def registry_of(*steps, model=MODEL, **facts):
    """A registry after forced steps; `add` adds the model of the run."""
    registry = Registry()
    for action, version, given in steps:
        entry = Entry(model_id=model, created_at=NOW, **facts) if action == "add" else None
        change = Change(action, version, "test", "why", forced=True, entry=entry, **given)
        registry = apply(registry, change, now=NOW)
    return registry


ADDED = ("add", "v1", {})


@pytest.fixture
def judge(tickets, tmp_path):
    def make(run, registry=None, *, sets=None, left_out=(), chosen=(), **options):
        judged = JudgedSets((tickets,) if sets is None else sets, left_out, chosen)
        options = {"now": NOW, "plugin_version": "0.1.0", "models": tmp_path / "models"} | options
        registry = registry or registry_of(ADDED)
        return assess(registry, options.pop("version", "v1"), run, lambda: judged, **options)

    return make


def test_a_run_that_passes_is_promoted_with_its_evidence(judge, run, tickets):
    assessment = judge(run)
    assert (assessment.refusals, assessment.cautions, assessment.waived) == ((), (DIRTY,), ())
    assert (assessment.seq, assessment.at) == (1, NOW)
    evidence = evidence_of(run, [tickets])
    assert assessment.change(who="li", reason="better") == Change(
        "promote", "v1", "li", f"better; run {run.id}", evidence=evidence
    )


def test_a_canary_gets_its_share_of_users(judge, run):
    change = judge(run, action="canary", traffic=0.05).change(who="li")
    assert (change.action, change.traffic, change.why) == ("canary", 0.05, f"traffic 0.05; run {run.id}")


def test_a_forced_change_says_what_it_overrides(judge, run):
    assessment = judge(run, known_problems=["1 test failed", "the disk is full"])
    assert assessment.refusals == ("1 test failed", "the disk is full")
    change = assessment.change(who="li", reason="urgent")
    assert (change.forced, change.why) == (True, f"urgent; run {run.id}; against: 1 test failed; the disk is full")


def test_without_a_run_the_stored_evidence_is_judged(judge, run, tickets):
    stored = registry_of(ADDED, ("canary", "v1", {"traffic": 0.1, "evidence": evidence_of(run, [tickets])}))
    assessment = judge(None, stored)
    assert assessment.refusals == ("its evidence was accepted by --force: name a run that passes, with --run",)
    assert assessment.change(who="li").evidence is None


def test_without_a_run_and_evidence_nothing_is_judged(run):
    def not_loaded():
        raise AssertionError

    for action in ("promote", "canary"):
        assessment = assess(
            registry_of(ADDED), "v1", None, not_loaded, now=NOW, plugin_version="1", models=None, action=action
        )
        assert assessment.refusals == (NO_EVIDENCE,)
        assert assessment.change(who="li").why == f"against: {NO_EVIDENCE}"


def test_another_share_for_a_canary_needs_no_new_evidence(judge, run):
    canary = registry_of(ADDED, ("canary", "v1", {"traffic": 0.1}))
    assessment = judge(None, canary, action="canary", traffic=0.2)
    assert (assessment.refusals, assessment.cautions, assessment.waived) == ((), (), ())
    assert (assessment.seq, assessment.at) == (2, NOW)
    assert assessment.change(who="li") == Change("canary", "v1", "li", "traffic 0.2", traffic=0.2)
    assert judge(None, canary, action="promote").refusals == (NO_EVIDENCE,)
    problem = "1 test failed"
    assert judge(run, canary, action="canary", traffic=0.2, known_problems=[problem]).refusals == (problem,)


def test_an_open_run_is_refused_and_leaves_no_evidence(judge, record, tickets):
    assessment = judge(recorded(record, tickets, "pp", closed=False))
    assert assessment.refusals[0].startswith("the run is open")
    assert assessment.change(who="li").evidence is None


def test_a_registry_that_was_altered_is_a_reason(judge, run):
    registry = registry_of(ADDED)
    v1 = registry.entries["v1"].model_copy(update={"job_id": "swapped"})
    (reason,) = judge(run, registry.model_copy(update={"entries": {"v1": v1}})).refusals
    assert reason == (
        "the registry does not agree with its history: entries.v1: was changed outside the history: its hash does not"
        " match event 1"
    )


@pytest.mark.parametrize(("cached", "answers"), [(1, "1 answer"), (2, "2 answers"), (1200, "1,200 answers")])
def test_cached_answers_are_no_evidence(judge, run, cached, answers):
    run = rewritten(run, totals=run.manifest.totals.model_copy(update={"from_cache": cached}))
    assert judge(run).refusals == (f"{answers} came from the cache: evaluate it again with --finetune-no-cache",)


def test_sets_that_were_chosen_or_left_out_are_named(judge, run):
    assessment = judge(run, chosen=("a.jsonl", "b"), left_out=("eval_sets/c.jsonl",))
    assert assessment.refusals == ("eval_sets/c.jsonl: left out by --eval-sets",)
    assert f"run {run.id}; judged by a.jsonl, b only; against: " in assessment.change(who="li").why


def test_only_a_first_version_is_not_compared_with_production(judge, record, tmp_path):
    both = write_set(tmp_path, toml=GATE + AGAINST)
    gate = "flips<=0,vs=production"
    run = recorded(record, both, verdicts=(("accuracy>=0.6", "pass"), (gate, "incomplete")))
    first = judge(run, sets=(both,))
    waived = f"{TICKETS}: gate {gate} is waived: a first version has no production to compare with"
    assert (first.refusals, first.waived, first.cautions) == ((), (waived,), (waived, DIRTY))
    assert first.change(who="li").why == f"run {run.id}; {waived}"
    later = judge(run, registry_of(ADDED, ("add", "v0", {}), ("promote", "v0", {}), ("retire", "v0", {})), sets=(both,))
    assert later.waived == ()
    assert any(reason.startswith(f"{TICKETS}: gate {gate} is incomplete") for reason in later.refusals)


def test_a_version_is_compared_with_the_production_of_the_registry(judge, record, tmp_path):
    both = write_set(tmp_path, toml=GATE + AGAINST)
    run = recorded(record, both, verdicts=(("accuracy>=0.6", "pass"), ("flips<=0,vs=production", "pass")))
    (reason,) = judge(run, registry_of(ADDED, ("add", "v0", {}), ("promote", "v0", {})), sets=(both,)).refusals
    assert reason == "the run does not record which production its gates were compared with: run it again"


def test_a_set_that_became_easier_is_a_reason_and_one_that_changed_a_caution(judge, record, tmp_path):
    strict = write_set(tmp_path, toml=GATE.replace("0.6", "0.8"))
    proof = evidence_of(recorded(record, strict, verdicts=(("accuracy>=0.8", "pass"),)), [strict])
    before = [("add", "v0", {}), ("promote", "v0", {"evidence": proof})]
    lax = write_set(tmp_path)
    (reason,) = judge(recorded(record, lax), registry_of(*before, ADDED), sets=(lax,)).refusals
    assert reason == f"{TICKETS}: production had to pass accuracy>=0.8: no gate demands it now"
    more = write_set(tmp_path, toml=GATE.replace("0.6", "0.8") + "[request]\ntemperature = 0.5\n")
    run = recorded(record, more, verdicts=(("accuracy>=0.8", "pass"),))
    _, caution = judge(run, registry_of(*before, ADDED), sets=(more,)).cautions
    assert caution.startswith(f"{TICKETS}: settings changed since production was evaluated")


def test_a_run_of_a_newer_plugin_is_refused(judge, run):
    (reason,) = judge(run, plugin_version="0.0.1").refusals
    assert reason == "the run was made by pytest-finetune 0.1.0, but this is 0.0.1: upgrade"


def test_a_model_that_is_switched_off_soon_is_refused_and_later_a_caution(judge, run):
    soon, later = (registry_of(ADDED, shutdown_date=NOW + timedelta(days=days)) for days in (3, 30))
    assert [reason.split(" (")[0] for reason in judge(run, soon).refusals] == [f"{MODEL} is switched off in 3 days"]
    assert [one.split(" (")[0] for one in judge(run, later).cautions[1:]] == [f"{MODEL} is switched off in 30 days"]


def test_local_weights_that_are_not_here_are_a_caution(judge, record, tickets):
    target = TargetInfo(spec="local:tuned", model="tuned", identity="ab" * 32)
    run = recorded(record, tickets, target=target, spec="local:tuned", answered_by=("tuned",))
    assessment = judge(run, registry_of(ADDED, model="local:tuned"))
    assert assessment.refusals == ()
    assert assessment.cautions == (
        DIRTY,
        "the weights of local:tuned are not on this machine, so they were not compared with those evaluated",
    )


def test_a_rejection_of_the_same_model_is_a_reason(judge, run):
    (reason,) = judge(run, registry_of(ADDED, ("add", "v2", {}), ("reject", "v2", {}))).refusals
    assert reason == f"v2 is the same model, and was rejected on {NOW:%Y-%m-%d}: why"
