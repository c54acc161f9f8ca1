"""Promotion on a run: the stored evidence, every reason to refuse, and the baseline for later runs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from gguf_files import gguf
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import TICKETS, samples
from recorded_runs import sample as recorded_sample
from registry_evidence import AGAINST, GATE, MODEL, PASSED, edited, recorded, replaced, rewritten, write_set
from sample_plans import SET, cases, sample

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Sample, State
from pytest_finetune.evaluation.plan import set_plan
from pytest_finetune.evaluation.runs import BaselineRecord, Run, TargetInfo, sample_to_dict
from pytest_finetune.lifecycle.registry.entry import Entry, VersionStatus
from pytest_finetune.lifecycle.registry.evidence import _bits, _outcomes, baseline_from, evidence_of
from pytest_finetune.lifecycle.registry.production_checks import coverage_faults
from pytest_finetune.lifecycle.registry.promotion import cautions, refusals, waived_gate_clauses
from pytest_finetune.lifecycle.registry.shutdown_checks import shutdown_cautions
from pytest_finetune.lifecycle.registry.weakened_gates import _latest_evidence
from pytest_finetune.verdicts.evalset.settings_hash import settings_sha256
from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.metrics import summarize

NOW = datetime(2026, 3, 10, tzinfo=UTC)
DEPRECATED, CANDIDATE, PRODUCTION = VersionStatus.DEPRECATED, VersionStatus.CANDIDATE, VersionStatus.PRODUCTION
PROFILE = "eval_sets/profile.jsonl"
COMPARED = ("flips<=0,vs=production", "pass")
HOME = "http://127.0.0.1:1/v1"
OLD = "ft:gpt-x-2026-01-01:acme::0Old"
ANSWERED_BY_PRODUCTION = BaselineRecord(
    name="registry:production", model=OLD, base_url=HOME, identity=HOME, run="run-0"
)


def entry(**facts):
    return Entry(**{"model_id": MODEL, "created_at": NOW} | facts)


def refused(run, *eval_sets, version=None, now=NOW, plugin="0.1.0", **others):
    return refusals(version or entry(), run, eval_sets, now=now, plugin_version=plugin, **others)


def test_a_closed_run_whose_gates_passed_is_enough(record, tickets):
    assert refused(recorded(record, tickets), tickets) == []


def test_the_evidence_alone_is_enough_after_the_run_is_gone(record, tickets):
    assert refused(evidence_of(recorded(record, tickets), [tickets]), tickets) == []


def test_evidence_stores_outcomes_and_metrics(record, tickets):
    evidence = evidence_of(recorded(record, tickets, "ppmep"), [tickets])
    (stored,) = evidence.eval_sets
    assert (evidence.model_id, evidence.answered_by, evidence.git_commit) == (MODEL, (MODEL,), "0123456789abcdef")
    assert (stored.outcomes, stored.counts) == ("c8", {"passed": 3, "missed": 1, "error": 1})
    assert (stored.metrics["accuracy"], stored.metrics["error_rate"]) == (0.6, 0.2)
    assert [one.status for one in stored.verdicts] == ["pass"]


def test_evidence_over_other_cases_keeps_the_counts_and_no_order(record, tickets, tmp_path):
    run = recorded(record, tickets)
    (stored,) = evidence_of(run, [write_set(tmp_path, cases=6)]).eval_sets
    assert (stored.outcomes, stored.metrics, stored.counts) == ("", {}, {"passed": 4, "missed": 1})


def test_an_open_run_cannot_become_evidence(record, tickets):
    with pytest.raises(RunError, match="an open run is no evidence"):
        evidence_of(recorded(record, tickets, "pp", closed=False), [tickets])


def test_an_open_run_is_refused(record, tickets):
    run = rewritten(recorded(record, tickets, "ppp", closed=False), stopped="the key was refused")
    reasons = refused(run, tickets)
    assert reasons[0] == "the run is open: the key was refused; finish it with --resume"
    assert f"{TICKETS}: gate accuracy>=0.6 has no verdict" in reasons


def test_missing_samples_are_not_evidence(record, tickets):
    run = recorded(record, tickets)
    run = rewritten(run, totals=run.manifest.totals.model_copy(update={"unneeded": 2}))
    assert refused(run, tickets) == ["2 samples were not requested (--stop-when-decided): run without it"]


def test_a_replay_is_refused(record, tickets):
    target = TargetInfo(spec="replay:last", model=MODEL)
    (reason,) = refused(recorded(record, tickets, target=target, answered_by=(MODEL,)), tickets)
    assert reason.startswith("replayed answers are no evidence")


def test_imported_answers_are_refused(record, tickets):
    target = TargetInfo(spec="imported:answers.jsonl", model=MODEL)
    (reason,) = refused(recorded(record, tickets, target=target, answered_by=(MODEL,)), tickets)
    assert reason == "imported answers are no evidence: they were recorded elsewhere, and the requests are unknown"


def test_a_run_that_was_interrupted_is_open_without_a_reason(record, tickets):
    assert refused(recorded(record, tickets, "ppp", closed=False), tickets)[0] == (
        "the run is open; finish it with --resume"
    )


def test_a_run_without_a_server_is_not_of_a_version_that_has_one(record, tickets):
    run = recorded(record, tickets, target=TargetInfo(spec=MODEL, model=MODEL))
    (reason,) = refused(run, tickets, version=entry(base_url=HOME))
    assert reason == f"the run used no server, but this version is served at {HOME}"
    production = entry(model_id=OLD, evidence=evidence_of(recorded(record, tickets, spec=OLD), [tickets]))
    (reason,) = refused(run, tickets, production=production)
    assert (
        reason == f"the run used no server, but production is evaluated at {HOME}: add the version with its --base-url"
    )


def test_a_local_version_needs_no_server_of_production(record, tickets):
    production = entry(model_id=OLD, evidence=evidence_of(recorded(record, tickets, spec=OLD), [tickets]))
    target = TargetInfo(spec="local:tuned", model="tuned", identity="ab" * 32)
    run = recorded(record, tickets, target=target, answered_by=("tuned",))
    assert refused(run, tickets, version=entry(model_id="local:tuned"), production=production) == []


def test_a_comparison_without_any_production_is_refused_except_for_a_first_version(record, tmp_path):
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    run = recorded(record, eval_set, verdicts=(*PASSED, COMPARED), baselines=(ANSWERED_BY_PRODUCTION,))
    assert refused(run, eval_set) == [
        "gates compare with production, but there is none now: roll back first, or pass --force"
    ]


def test_stored_evidence_with_samples_left_unasked_is_refused(record, tickets):
    evidence = evidence_of(recorded(record, tickets), [tickets])
    sets = (evidence.eval_sets[0].model_copy(update={"counts": {"passed": 5, "unneeded": 1200}}),)
    assert refused(evidence.model_copy(update={"eval_sets": sets}), tickets) == [
        f"{TICKETS}: 1,200 samples are unneeded: only the record can prove that: --run {evidence.run_id}"
    ]


def test_samples_of_a_nameless_server_are_refused_if_the_manifest_knows_none(record, tickets):
    run = rewritten(recorded(record, tickets, answered_by=("", MODEL)), answered_by=(MODEL,))
    assert refused(run, tickets) == ["samples were answered by an unnamed model, which the manifest does not list"]


def test_waived_gates_are_listed_in_order(record, tmp_path):
    more = AGAINST + AGAINST.replace("max_flips = 0", "max_drop = 0.1")
    eval_set = write_set(tmp_path, toml=GATE + more)
    compared = [rule.label for rule in eval_set.settings.rules if rule.compares]
    run = recorded(record, eval_set, verdicts=(*PASSED, *((label, "incomplete") for label in compared)))
    assert waived_gate_clauses(run, [eval_set]) == [
        f"{TICKETS}: gate {label} is waived: a first version has no production to compare with"
        for label in sorted(compared)
    ]


@pytest.mark.parametrize(
    ("days", "clause"),
    [
        (-1, "was switched off"),
        (0, "is switched off today"),
        (1, "is switched off in 1 day"),
        (2, "is switched off in 2 days"),
        (90, "is switched off in 90 days"),
        (91, None),
        (None, None),
    ],
)
def test_a_rollback_is_warned_of_a_shutdown_within_90_days(days, clause):
    version = entry(shutdown_date=None if days is None else NOW + timedelta(days=days))
    found = shutdown_cautions(version, now=NOW)
    assert [text.split(" (")[0] for text in found] == ([f"{MODEL} {clause}"] if clause else [])


def test_evidence_keeps_what_identifies_its_run(record, tmp_path):
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    run = recorded(
        record, eval_set, baselines=(ANSWERED_BY_PRODUCTION,), compared_with=(OLD,), verdicts=(*PASSED, COMPARED)
    )
    evidence = evidence_of(run, [eval_set])
    assert (evidence.run_id, evidence.spec, evidence.base_url, evidence.git_dirty) == (run.id, MODEL, HOME, True)
    assert evidence.seal == run.manifest.seal != ""
    assert (evidence.baselines, evidence.compared_with) == ((ANSWERED_BY_PRODUCTION,), (OLD,))
    assert evidence.closed_at == run.manifest.closed_at


def test_evidence_counts_samples_that_were_not_run(record, tickets):
    not_run = [Sample(TICKETS, "case-03", 0, State.UNRUN)]
    (stored,) = evidence_of(recorded(record, tickets, "ppm", more=not_run), [tickets]).eval_sets
    assert stored.counts == {"passed": 2, "missed": 1, "unrun": 2}
    (whole,) = evidence_of(recorded(record, tickets), [tickets]).eval_sets
    assert whole.counts == {"passed": 4, "missed": 1}


def test_evidence_of_labels_has_their_f1_and_that_of_repeats_their_agreement(record, tmp_path):
    labelled = write_set(tmp_path, toml='scorer = "label"\nlabels = ["bug", "question"]\n' + GATE)
    (stored,) = evidence_of(recorded(record, labelled), [labelled]).eval_sets
    assert "macro_f1" in stored.metrics
    assert not {"agreement", "format_stability"} & set(stored.metrics)
    repeated = write_set(tmp_path, cases=2, toml="[stability]\nrepeats = 2\n" + GATE)
    (stored,) = evidence_of(recorded(record, repeated, ["pp", "pm"]), [repeated]).eval_sets
    assert (stored.outcomes, stored.metrics["agreement"], stored.metrics["accuracy"]) == ("e", 0.75, 0.75)


def test_evidence_has_the_metrics_of_confidence_except_that_of_one_coverage(record, tmp_path):
    confident = write_set(tmp_path, toml="[request]\nlogprobs = true\n" + GATE)
    certain = [
        replace(one, completion=replace(one.completion, logprobs=(("bug", -0.5),)))
        for one in samples("ppppm", models=[MODEL])
    ]
    (stored,) = evidence_of(recorded(record, confident, "", more=certain), [confident]).eval_sets
    of_any_scorer = {"accuracy", "error_rate", "ece", "latency_p50", "latency_p95"}
    assert set(stored.metrics) == of_any_scorer


def test_evidence_keeps_the_hash_of_the_schema(record, tmp_path):
    (tmp_path / "eval_sets").mkdir(exist_ok=True)
    (tmp_path / "eval_sets/s.json").write_text("{}", "utf-8")
    eval_set = write_set(tmp_path, toml='scorer = "schema"\nschema = "s.json"\n' + GATE)
    (stored,) = evidence_of(recorded(record, eval_set), [eval_set]).eval_sets
    assert stored.schema_sha256 == eval_set.schema_sha256 != ""


def test_a_run_of_another_model_is_refused(record, tickets):
    run = recorded(record, tickets, spec="ft:other")
    assert refused(run, tickets) == [f"the run evaluated ft:other, but this version is {MODEL}"]


def test_a_run_through_the_registry_counts_by_the_id_on_the_wire(record, tickets):
    target = TargetInfo(spec="registry:v1.2", model=MODEL)
    assert refused(recorded(record, tickets, target=target, answered_by=(MODEL,)), tickets) == []


def test_a_run_at_another_server_is_refused(record, tickets):
    version = entry(base_url="https://models.acme.example/v1")
    (reason,) = refused(recorded(record, tickets), tickets, version=version)
    assert reason == "the run used http://127.0.0.1:1/v1, but this version is served at https://models.acme.example/v1"


def test_later_evidence_from_another_server_is_refused(record, tickets):
    """An entry that names no server has to stay on the server of its first evidence."""
    first = evidence_of(recorded(record, tickets), [tickets])
    version = entry(evidence=first)
    assert refused(recorded(record, tickets), tickets, version=version) == []
    elsewhere = TargetInfo(spec=MODEL, model=MODEL, base_url="https://elsewhere.example/v1")
    (reason,) = refused(recorded(record, tickets, target=elsewhere), tickets, version=version)
    assert reason == f"the run used https://elsewhere.example/v1, but this version was evaluated before at {HOME}"


def test_a_manifest_that_was_edited_is_refused(record, tickets):
    run = recorded(record, tickets)
    run = edited(run, verdicts=tuple(one.model_copy(update={"value": 1.0}) for one in run.manifest.verdicts))
    (reason,) = refused(run, tickets)
    assert reason == "the run has a broken seal: manifest.json changed after the run closed; run it again"


def test_a_sample_added_after_the_run_closed_is_ignored(record, tickets):
    """Another process may still have been writing, and samples added by hand have no effect."""
    run = recorded(record, tickets, "ppppm")
    run.append(sample_to_dict(recorded_sample("case-04", "p", model=MODEL)))
    run.release()
    run = Run.load(run.path)
    assert refused(run, tickets) == []
    assert evidence_of(run, [tickets]).eval_sets[0].counts == {"passed": 4, "missed": 1}


def test_a_sample_that_was_changed_under_a_right_checksum_is_refused(record, tickets):
    run = recorded(record, tickets, "ppppm")
    replaced(run, recorded_sample("case-04", "p", model=MODEL))
    (reason,) = refused(Run.load(run.path), tickets)
    assert reason == "the run has a broken seal: samples.jsonl changed after the run closed; run it again"


def test_a_record_of_an_older_plugin_has_no_seal_and_is_refused(record, tickets):
    run = edited(recorded(record, tickets), seal="", samples_sha256="")
    assert refused(run, tickets) == ["the run has no seal: an older pytest-finetune closed it; run it again"]


def test_samples_of_a_model_missing_from_the_manifest_are_refused(record, tickets):
    run = rewritten(recorded(record, tickets, answered_by=(MODEL, "other")), answered_by=(MODEL,))
    assert refused(run, tickets) == ["samples were answered by other, which the manifest does not list"]


@pytest.fixture
def compared(record, tmp_path):
    """The reasons against a run whose gate was compared with these baselines."""
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)

    def reasons(*baselines, production=None, **facts):
        run = recorded(record, eval_set, verdicts=(*PASSED, COMPARED), baselines=baselines, **facts)
        held = production or entry(model_id=OLD, base_url=HOME)
        found = refused(run, eval_set, production=held)
        assert refused(evidence_of(run, [eval_set]), eval_set, production=held) == [
            reason.replace("the run", "the evidence") for reason in found
        ]
        return [reason.removeprefix("the run ") for reason in found]

    return reasons


@pytest.mark.parametrize("name", ["production", "registry:production", "replay:run-0", OLD])
def test_production_is_compared_with_by_whatever_name_its_answers_came(compared, name):
    assert compared(ANSWERED_BY_PRODUCTION.model_copy(update={"name": name})) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "other"}, f"was compared with other, but production is {OLD}"),
        (
            {"base_url": "http://127.0.0.1:2/v1"},
            f"was compared with {OLD} at http://127.0.0.1:2/v1, but production is evaluated at {HOME}",
        ),
        ({"base_url": ""}, f"was compared with {OLD} at no server, but production is evaluated at {HOME}"),
        ({"base_url": HOME.replace("127.0.0.1", "localhost")}, None),
        ({"name": "replay:x", "doubt": "its run is open"}, "was compared with replay:x, but its run is open"),
    ],
)
def test_a_comparison_with_something_other_than_production_is_refused(compared, change, expected):
    assert compared(ANSWERED_BY_PRODUCTION.model_copy(update=change)) == ([] if expected is None else [expected])


def test_production_without_a_server_of_its_own_is_held_to_that_of_its_evidence(compared, record, tickets):
    evidence = evidence_of(recorded(record, tickets, spec=OLD), [tickets])
    production = entry(model_id=OLD, evidence=evidence)
    assert compared(ANSWERED_BY_PRODUCTION, production=production) == []
    elsewhere = ANSWERED_BY_PRODUCTION.model_copy(update={"base_url": "http://127.0.0.1:2/v1"})
    assert len(compared(elsewhere, production=production)) == 1
    assert compared(elsewhere, production=entry(model_id=OLD)) == []


def test_a_local_production_is_identified_by_its_weights_not_its_engine(compared, record, tickets):
    target = TargetInfo(spec="local:old", model="old", identity="sha256:1 engine 1")
    evidence = evidence_of(recorded(record, tickets, target=target), [tickets])
    production = entry(model_id="local:old", evidence=evidence)
    same = BaselineRecord(name="registry:production", model="old", identity="sha256:1 engine 2")
    assert compared(same, production=production) == []
    other = same.model_copy(update={"identity": "sha256:2 engine 1"})
    assert compared(other, production=production) == ["was compared with other weights of old than those in production"]


def test_an_old_record_that_names_no_server_of_the_baseline_is_refused(compared):
    expected = "does not record which production its gates were compared with"
    assert compared() == [f"{expected}: run it again"]
    assert compared(compared_with=(OLD,)) == [f"{expected} ({OLD}, on an unknown server): run it again"]


def test_a_set_that_production_was_judged_by_may_be_renamed_and_not_dropped(record, tickets, tmp_path):
    profile = write_set(tmp_path, PROFILE, cases=4)
    plans = [set_plan(tickets, "m"), set_plan(profile, "m")]
    production = entry(model_id=OLD, evidence=evidence_of(recorded(record, tickets, plans=plans), [tickets, profile]))
    assert refused(recorded(record, tickets), tickets, production=production) == [
        f"{PROFILE}: production was evaluated on it, but this version was not"
    ]
    renamed = write_set(tmp_path, "eval_sets/people.jsonl", cases=4)
    plans = [set_plan(tickets, "m"), set_plan(renamed, "m")]
    run = recorded(record, tickets, plans=plans, verdicts=PASSED)
    assert f"{PROFILE}: production was judged by it" not in " ".join(
        refused(run, tickets, renamed, production=production)
    )


def test_a_first_version_needs_no_production_to_compare_with(record, tmp_path):
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    run = recorded(record, eval_set, verdicts=(*PASSED, ("flips<=0,vs=production", "incomplete")))
    assert refused(run, eval_set, first=True) == []
    assert len(refused(run, eval_set)) == 2
    assert waived_gate_clauses(run, [eval_set]) == [
        f"{TICKETS}: gate flips<=0,vs=production is waived: a first version has no production to compare with"
    ]


def test_a_first_version_is_held_to_every_other_gate(record, tmp_path):
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    verdicts = (("accuracy>=0.6", "incomplete"), ("flips<=0,vs=production", "fail"))
    reasons = refused(recorded(record, eval_set, verdicts=verdicts), eval_set, first=True)
    assert [reason.split(" is ")[0] for reason in reasons] == [
        f"{TICKETS}: gate accuracy>=0.6",
        f"{TICKETS}: gate flips<=0,vs=production",
    ]


def test_a_first_version_needs_a_gate_with_a_bar(record, tmp_path):
    eval_set = write_set(tmp_path, toml=AGAINST)
    run = recorded(record, eval_set, verdicts=(("flips<=0,vs=production", "incomplete"),))
    assert refused(run, eval_set, first=True) == [
        f"{TICKETS}: every gate compares with production, and there is none yet: add a fixed threshold"
    ]


@pytest.mark.parametrize(
    ("answered", "same"),
    [
        ("m", True),
        ("m-2024-07-18", True),
        ("m-0613", False),
        ("m-2024-13-18", False),
        ("", True),
        ("m-mini", False),
        ("m-mini-2024-07-18", False),
        ("m-2024-07-18-preview", False),
        ("M", False),
        ("other", False),
    ],
)
def test_an_answer_under_another_name_is_refused_unless_it_is_the_dated_snapshot(record, tickets, answered, same):
    run = recorded(record, tickets, spec="m", answered_by=("m", answered))
    reasons = refused(run, tickets, version=entry(model_id="m"))
    assert reasons == ([] if same else [f"the server answered as {answered} to requests for m"])


def test_a_local_model_is_identified_by_its_weights(record, tickets):
    target = TargetInfo(spec="local:mine", model="mine", identity="sha256:new")
    run = recorded(record, tickets, target=target, answered_by=("mine.gguf",))
    version = entry(model_id="local:mine")
    assert refused(run, tickets, version=version) == []
    before = evidence_of(run, [tickets]).model_copy(update={"identity": "sha256:old"})
    (reason,) = refused(run, tickets, version=version.model_copy(update={"evidence": before}))
    assert reason.startswith("the run evaluated other weights")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cases": 6}, "cases changed since the run"),
        ({"toml": GATE + "max_errors = 1\n"}, "settings changed since the run"),
        ({"cases": 6, "toml": GATE + "max_errors = 1\n"}, "cases and settings changed since the run"),
        ({"toml": "[stability]\nrepeats = 2\n" + GATE}, "settings changed, repeats were 1 and are 2 since the run"),
    ],
)
def test_a_run_over_a_changed_eval_set_is_refused(record, tickets, tmp_path, change, expected):
    run = recorded(record, tickets)
    reasons = refused(run, write_set(tmp_path, **change))
    assert f"{TICKETS}: {expected}; run it again" in reasons


def test_an_api_that_only_the_session_demanded_is_named_instead_of_changed_settings(record, tickets):
    demanded = settings_sha256(tickets.settings, tickets.fingerprint, "responses")
    plan = set_plan(tickets, "m").model_copy(update={"settings_sha256": demanded})
    (reason,) = refused(recorded(record, tickets, plans=[plan]), tickets)
    assert reason.startswith(f"{TICKETS}: the session sent its requests to the responses API (--finetune-api), unlike")


def test_a_changed_schema_is_refused(record, tickets):
    plan = set_plan(tickets, "m").model_copy(update={"schema_sha256": "old"})
    assert refused(recorded(record, tickets, plans=[plan]), tickets) == [
        f"{TICKETS}: schema changed since the run; run it again"
    ]


def test_every_eval_set_of_today_has_to_be_in_the_run_and_no_other(record, tickets, tmp_path):
    profile = write_set(tmp_path, PROFILE)
    assert refused(recorded(record, tickets), tickets, profile) == [f"{PROFILE}: not evaluated in this run"]
    run = recorded(record, tickets, plans=[set_plan(tickets, "m"), set_plan(profile, "m")])
    (reason,) = refused(run, tickets)
    assert reason == f"{PROFILE}: evaluated in the run, but not among the current eval sets"


def test_a_run_without_cases_is_not_evidence(record, tickets):
    assert "there are no eval sets now, so there is nothing to judge by" in refused(recorded(record, tickets))


@pytest.mark.parametrize("status", ["fail", "inconclusive", "incomplete", "unheard of"])
def test_only_passed_gates_count(record, tickets, status):
    (reason,) = refused(recorded(record, tickets, verdicts=[("accuracy>=0.6", status)]), tickets)
    assert reason.startswith(f"{TICKETS}: gate accuracy>=0.6 is {status}: ")


def test_a_gate_without_a_verdict_is_refused(record, tmp_path):
    eval_set = write_set(tmp_path, toml=GATE + '[[gates]]\nmetric = "error_rate"\nmax = 0.1\n')
    assert refused(recorded(record, eval_set), eval_set) == [f"{TICKETS}: gate error_rate<=0.1 has no verdict"]


def test_a_set_without_gates_is_held_to_the_rule_it_implies(record, tmp_path):
    eval_set = write_set(tmp_path, toml="")
    assert refused(recorded(record, eval_set, "ppppp", verdicts=[("accuracy>=1", "pass")]), eval_set) == []
    (reason,) = refused(recorded(record, eval_set, "ppppm", verdicts=[("accuracy>=1", "fail")]), eval_set)
    assert reason.startswith(f"{TICKETS}: gate accuracy>=1 is fail")
    assert refused(recorded(record, eval_set, "ppppp", verdicts=()), eval_set) == [
        f"{TICKETS}: gate accuracy>=1 has no verdict"
    ]


def test_a_pass_that_contradicts_the_samples_is_refused(record, tickets):
    assert refused(recorded(record, tickets, "pmmmm"), tickets) == [
        f"{TICKETS}: gate accuracy>=0.6 is pass in the manifest, fail by the samples"
    ]


def test_a_damaged_record_is_an_error_and_no_evidence(record, tickets):
    run = recorded(record, tickets)
    lines = run.path / "samples.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b"question", b"bug"))
    with pytest.raises(RunError, match="does not match its checksum"):
        refused(run, tickets)


@pytest.mark.parametrize(
    ("plugin", "older"),
    [("0.1.0", False), ("0.2.0", False), ("0.10", False), ("0.0.9", True), ("0.1.0rc1", True), ("odd", True)],
)
def test_a_record_of_a_newer_plugin_is_refused(record, tickets, plugin, older):
    reasons = refused(recorded(record, tickets), tickets, plugin=plugin)
    assert [reason.endswith(f"this is {plugin}: upgrade") for reason in reasons] == [True] * older


@pytest.mark.parametrize(
    ("day", "when"),
    [("2026-03-09", "was"), ("2026-03-10", "today"), ("2026-03-11", "in 1 day "), ("2026-03-17", "in 7 days")],
)
def test_a_retired_or_retiring_model_is_refused(record, tickets, day, when):
    version = entry(shutdown_date=datetime.fromisoformat(day))
    (reason,) = refused(recorded(record, tickets), tickets, version=version)
    assert when in reason
    assert reason.endswith(f"({day}, the registry)")


@pytest.mark.parametrize(("day", "count"), [("2026-03-17", 0), ("2026-03-18", 1), ("2026-06-08", 1), ("2026-06-09", 0)])
def test_a_later_retirement_is_a_warning(record, tickets, day, count):
    version = entry(shutdown_date=datetime.fromisoformat(day))
    found = cautions(version, recorded(record, tickets), now=NOW)
    assert [f"({day}, the registry)" in one for one in found[1:]] == [True] * count


def test_a_tree_with_changes_and_a_nameless_answer_are_warnings(record, tickets):
    run = recorded(record, tickets, answered_by=("", MODEL))
    assert refused(run, tickets) == []
    assert cautions(entry(), run, now=NOW) == [
        "the run was made with uncommitted changes, so its commit does not identify the code",
        "the server did not always report which model answered",
    ]


def test_all_reasons_are_reported_at_once(record, tickets, tmp_path):
    run = recorded(record, tickets, spec="ft:other", answered_by=("third",), verdicts=[("accuracy>=0.6", "fail")])
    run = rewritten(run, totals=run.manifest.totals.model_copy(update={"unneeded": 1}))
    version = entry(shutdown_date=NOW)
    profile = write_set(tmp_path, PROFILE)
    assert len(refused(run, write_set(tmp_path, cases=7), profile, version=version, plugin="0.0.1")) == 8


def test_stored_evidence_with_holes_is_refused(record, tickets):
    evidence = evidence_of(recorded(record, tickets, "ppp"), [tickets])
    assert refused(evidence, tickets) == [f"{TICKETS}: 2 samples are unrun"]


def test_a_later_run_is_paired_with_stored_evidence(record, tmp_path):
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    evidence = evidence_of(recorded(record, eval_set, "pppmm"), [eval_set])

    def status(letters):
        verdicts = judge(
            eval_set.settings.judged_by, eval_set.table(samples(letters)), baseline_from(evidence, eval_set)
        )
        return verdicts[1].status, [flip.case_id for flip in verdicts[1].flips]

    assert status("ppppp") == (Status.PASS, ["case-03", "case-04"])
    assert status("mpppp") == (Status.FAIL, ["case-00", "case-03", "case-04"])


def test_evidence_of_other_cases_settings_or_repeats_is_not_a_baseline(record, tickets, tmp_path):
    evidence = evidence_of(recorded(record, tickets), [tickets])
    assert baseline_from(evidence, tickets) is not None
    for change in ({"cases": 6}, {"toml": ""}, {"toml": "[stability]\nrepeats = 2\n" + GATE}, {"name": PROFILE}):
        assert baseline_from(evidence, write_set(tmp_path, **change)) is None


@pytest.mark.parametrize("letters", ["pppep", "pppp."])
def test_evidence_with_an_error_or_a_missing_sample_is_not_a_baseline(record, tickets, letters):
    assert baseline_from(evidence_of(recorded(record, tickets, letters), [tickets]), tickets) is None


def test_evidence_is_not_a_baseline_for_metrics_other_than_accuracy(record, tmp_path):
    against = '[[gates]]\nmetric = "valid_rate"\nagainst = "production"\nmax_drop = 0.1\n'
    eval_set = write_set(tmp_path, toml='scorer = "label"\nlabels = ["bug", "question"]\n' + against)
    run = recorded(record, eval_set, verdicts=PASSED)
    assert baseline_from(evidence_of(run, [eval_set]), eval_set) is None


@pytest.mark.parametrize("outcomes", ["", "f", "fff", "xy", "F8"])
def test_outcomes_that_do_not_fit_the_plan_are_no_baseline(record, tickets, outcomes):
    evidence = evidence_of(recorded(record, tickets, "ppppp"), [tickets])
    stored = evidence.eval_sets[0].model_copy(update={"outcomes": outcomes})
    assert baseline_from(evidence.model_copy(update={"eval_sets": (stored,)}), tickets) is None


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=3), max_size=40).filter(
        lambda rows: len({*map(len, rows)}) < 2
    )
)
def test_outcomes_are_read_as_they_were_written(rows):
    made = [
        sample(number, "passed" if passed else "missed", attempt)
        for number, row in enumerate(rows)
        for attempt, passed in enumerate(row)
    ]
    repeats = len(rows[0]) if rows else 1
    text = _outcomes(summarize(made, cases(len(rows)), eval_set=SET, repeats=repeats))
    assert _bits(text, len(made)) == [passed for row in rows for passed in row]


def production_at(record, tickets, **facts):
    """Another version in production, judged at the server that `recorded` names."""
    return entry(model_id=OLD, evidence=evidence_of(recorded(record, tickets, spec=OLD), [tickets])).model_copy(
        update=facts
    )


def test_a_version_without_a_server_is_judged_on_that_of_production(record, tickets):
    """Users of production on one server will request this version there, too."""
    elsewhere = TargetInfo(spec=MODEL, model=MODEL, base_url="http://127.0.0.1:9/v1")
    run, production = recorded(record, tickets, target=elsewhere), production_at(record, tickets)
    (reason,) = refused(run, tickets, production=production)
    assert reason.startswith(f"the run used http://127.0.0.1:9/v1, but production is evaluated at {HOME}")
    assert refused(run, tickets, production=production, version=entry(base_url="http://127.0.0.1:9/v1/")) == []
    assert refused(run, tickets, production=production_at(record, tickets, base_url=HOME)) == []


@pytest.mark.parametrize("spelling", ["http://localhost:1/v1", "http://127.0.0.1:1", "HTTP://LOCALHOST:1/v1/"])
def test_one_server_in_two_spellings_is_one_server(record, tickets, spelling):
    there = TargetInfo(spec=MODEL, model=MODEL, base_url=spelling)
    run = recorded(record, tickets, target=there)
    assert refused(run, tickets, production=production_at(record, tickets)) == []
    assert refused(run, tickets, version=entry(base_url=HOME)) == []


def test_a_run_with_a_future_date_is_refused(record, tickets):
    run = recorded(record, tickets)
    closed = run.manifest.closed_at
    assert refused(run, tickets, now=closed - timedelta(minutes=5)) == []
    (reason,) = refused(run, tickets, now=closed - timedelta(hours=1))
    assert "which is in the future" in reason


@pytest.mark.parametrize("model_id", ["local:models/tuned.gguf", "local:tuned"])
def test_a_local_version_is_promoted_on_a_run_under_its_registry_name(record, tickets, model_id):
    run = recorded(record, tickets, target=TargetInfo(spec="registry:v2", model="tuned", identity="sha256:1"))
    assert refused(run, tickets, version=entry(model_id=model_id)) == []
    other = recorded(record, tickets, target=TargetInfo(spec="registry:v2", model="other", identity="sha256:1"))
    assert refused(other, tickets, version=entry(model_id=model_id)) == [
        f"the run evaluated registry:v2, but this version is {model_id}"
    ]


def test_weights_that_were_replaced_since_the_run_are_refused(record, tickets, tmp_path):
    weights = tmp_path / "tuned.gguf"
    weights.write_bytes(gguf({"general.type": "model"}))
    identity = f"{hashlib.sha256(weights.read_bytes()).hexdigest()} engine 1 context 2048"
    target = TargetInfo(spec="local:tuned", model="tuned", identity=identity)
    run = recorded(record, tickets, target=target)
    local = entry(model_id="local:tuned")
    assert refused(run, tickets, version=local, models=tmp_path) == []
    weights.write_bytes(weights.read_bytes() + b"!")
    (reason,) = refused(run, tickets, version=local, models=tmp_path)
    assert reason == "the run evaluated other weights than local:tuned has now: run it again"
    weights.unlink()
    assert refused(run, tickets, version=local, models=tmp_path) == []
    assert any("are not on this machine" in one for one in cautions(local, run, now=NOW, models=tmp_path))


@pytest.mark.parametrize("server", [HOME, "http://localhost:1/v1", "http://[::1]:1"])
def test_a_run_that_compared_the_model_with_itself_is_refused(record, tickets, tmp_path, server):
    """Also if an earlier version of the plugin recorded it as passed."""
    eval_set = write_set(tmp_path, toml=GATE + AGAINST)
    baseline = BaselineRecord(name="registry:production", model=MODEL, base_url=server)
    run = recorded(record, eval_set, verdicts=(*PASSED, COMPARED), baselines=(baseline,))
    production = entry(model_id=MODEL, base_url=server)
    assert any("compared the model with itself" in reason for reason in refused(run, eval_set, production=production))


def test_clocks_may_differ_by_ten_minutes(record, tickets):
    run = recorded(record, tickets)
    earlier = run.manifest.closed_at - timedelta(minutes=10)
    assert refused(run, tickets, now=earlier) == []
    (reason,) = refused(run, tickets, now=earlier - timedelta(seconds=1))
    assert reason.endswith("which is in the future: check the clocks")


def test_a_changed_set_does_not_hide_the_next_one(record, tickets, tmp_path):
    profile = write_set(tmp_path, PROFILE, cases=4)
    run = recorded(record, tickets, "mmmmm", plans=[set_plan(tickets, "m"), set_plan(profile, "m")], verdicts=[*PASSED])
    changed = write_set(tmp_path, PROFILE, cases=3)
    reasons = refused(run, changed, tickets)
    assert f"{TICKETS}: gate accuracy>=0.6 is pass in the manifest, fail by the samples" in reasons


def test_a_stored_baseline_has_scores(record, tmp_path):
    eval_set = write_set(tmp_path, cases=2, toml="[stability]\nrepeats = 2\n" + GATE + AGAINST)
    evidence = evidence_of(recorded(record, eval_set, ["pp", "pm"]), [eval_set])
    (stored,) = evidence.eval_sets
    assert "unrun" not in stored.counts
    baseline = baseline_from(evidence, eval_set)
    assert [sample.score.passed for sample in baseline.samples] == [True, True, True, False]
    only_missed = evidence_of(recorded(record, eval_set, ["mm", "mm"]), [eval_set])
    assert [str(sample.state) for sample in baseline_from(only_missed, eval_set).samples] == ["missed"] * 4
    only_passed = evidence_of(recorded(record, eval_set, ["pp", "pp"]), [eval_set])
    assert [str(sample.state) for sample in baseline_from(only_passed, eval_set).samples] == ["passed"] * 4


def test_a_gate_on_the_form_guards_a_set_whose_form_decides(record, tmp_path):
    (tmp_path / "eval_sets").mkdir(exist_ok=True)
    (tmp_path / "eval_sets/answer.schema.json").write_text('{"type": "string"}', "utf-8")
    gate = '[[gates]]\nmetric = "valid_rate"\nmin = 0.6\n'
    by_form = write_set(tmp_path, toml=f'scorer = "schema"\nschema = "answer.schema.json"\n{gate}')
    reasons = refused(recorded(record, by_form, verdicts=(("valid_rate>=0.6", "pass"),)), by_form)
    assert reasons == []


def test_a_set_of_productions_evidence_is_missing_only_if_it_is_neither_in_the_run_nor_in_the_project():
    ran = SimpleNamespace(plans=[SimpleNamespace(name="ran", cases_sha256="new")])
    stored = [("ran", "old"), ("here", "old"), ("renamed", "new"), ("gone", "old")]
    evidence = SimpleNamespace(eval_sets=[SimpleNamespace(name=name, cases_sha256=sha) for name, sha in stored])
    found = list(coverage_faults(ran, [SimpleNamespace(name="here")], SimpleNamespace(evidence=evidence)))
    assert found == ["gone: production was evaluated on it, but this version was not"]
    assert list(coverage_faults(ran, [], None)) == []


def test_without_a_production_the_last_one_is_what_a_new_version_is_held_to():
    was, never = (SimpleNamespace(status=status, evidence=status) for status in (DEPRECATED, CANDIDATE))
    entries = {"v1": was, "v2": never}
    history = [SimpleNamespace(version="v1", after=PRODUCTION), SimpleNamespace(version="v2", after=CANDIDATE)]
    assert _latest_evidence(SimpleNamespace(entries=entries, history=history)) is DEPRECATED
    assert _latest_evidence(SimpleNamespace(entries=entries, history=history[1:])) is None
