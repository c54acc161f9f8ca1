"""Judges evidence: all reasons against a promotion at once, and warnings that do not prevent it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_finetune.base.model_ids import answers_for
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.evaluation.same_model import is_same_server
from pytest_finetune.evaluation.targets.weights import name_of
from pytest_finetune.lifecycle.registry.evidence import changes_since
from pytest_finetune.lifecycle.registry.evidence_claim import claim_of
from pytest_finetune.lifecycle.registry.production_checks import (
    comparison_faults,
    coverage_faults,
    server_fault,
    server_of,
    waived_gates,
)
from pytest_finetune.lifecycle.registry.record_checks import run_faults, sample_faults, stored_judge_faults
from pytest_finetune.lifecycle.registry.shutdown_checks import shutdown_cautions, shutdown_faults
from pytest_finetune.lifecycle.registry.version_checks import missing_weights, weights_fault
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.quality import quality_is_guarded

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_finetune.lifecycle.registry.entry import Entry, Evidence
    from pytest_finetune.lifecycle.registry.evidence_claim import Claim
    from pytest_finetune.verdicts.evalset import EvalSet

CLOCKS_APART = timedelta(minutes=10)
"""Tolerated difference between two clocks; evidence from further in the future would seem newer than any fallback."""


def refusals(
    entry: Entry,
    proof: Run | Evidence,
    eval_sets: Sequence[EvalSet],
    *,
    now: datetime,
    plugin_version: str,
    production: Entry | None = None,
    first: bool = False,
    models: Path | None = None,
) -> list[str]:
    """
    All reasons against a promotion on a run record or on stored evidence, one clause each; empty if there are none.

    The server must have answered under the model id itself, or under it with a date appended, as an alias resolves to
    its snapshot. Local models are identified by the hash of their weights instead. A first version has nothing to be
    compared with, so gates against production that are incomplete, and only those, are waived.

    Args:
        entry: The version.
        proof: A run record, or stored evidence.
        eval_sets: All current eval sets; one that the run does not cover is a reason to refuse.
        now: Time of the promotion.
        plugin_version: The version of this plugin.
        production: The entry in production; None if there is none.
        first: Whether no version was ever in production.
        models: Folder of local models, whose weights must be those that were evaluated; None to skip that check.

    Raises:
        RunError: A line of the record is damaged.
    """
    claim = claim_of(proof)
    found = list(run_faults(proof, eval_sets)) if isinstance(proof, Run) else list(_count_faults(proof))
    found += _time_faults(proof, claim, now)
    found += _model_faults(entry, claim)
    found += [fault] if (fault := server_fault(entry, claim, production)) else []
    found += [fault] if models and (fault := weights_fault(entry, claim, models)) else []
    found += _plan_faults(claim, eval_sets)
    found += _verdict_faults(claim, eval_sets, waived_gates(claim, eval_sets) if first else set())
    found += _quality_faults(eval_sets)
    found += comparison_faults(claim, eval_sets, production, first=first)
    found += coverage_faults(claim, eval_sets, production)
    found += sample_faults(proof, eval_sets) if isinstance(proof, Run) else stored_judge_faults(proof, eval_sets)
    found += _version_faults(claim, plugin_version)
    return found + shutdown_faults(entry, now=now)


def waived_gate_clauses(proof: Run | Evidence, eval_sets: Sequence[EvalSet]) -> list[str]:
    """The gates against production that a first version need not pass, one clause each."""
    return [
        f"{eval_set}: gate {gate} is waived: a first version has no production to compare with"
        for eval_set, gate in sorted(waived_gates(claim_of(proof), eval_sets))
    ]


def cautions(
    entry: Entry,
    proof: Run | Evidence,
    *,
    now: datetime,
    models: Path | None = None,
) -> list[str]:
    """Warnings that do not prevent a promotion; the arguments are those of `refusals`."""
    claim, found = claim_of(proof), []
    if claim.git_dirty:
        found.append(f"{claim.source} was made with uncommitted changes, so its commit does not identify the code")
    if "" in claim.answered_by:
        found.append("the server did not always report which model answered")
    found += [missing] if models and (missing := missing_weights(entry, models)) else []
    return found + ([] if shutdown_faults(entry, now=now) else shutdown_cautions(entry, now=now))


def _time_faults(proof: Run | Evidence, claim: Claim, now: datetime) -> Iterator[str]:
    closed = proof.manifest.closed_at if isinstance(proof, Run) else proof.closed_at
    if closed is not None and closed > now + CLOCKS_APART:
        yield f"{claim.source} closed at {closed:%Y-%m-%d %H:%M %Z}, which is in the future: check the clocks"


def _count_faults(evidence: Evidence) -> Iterator[str]:
    for stored in evidence.eval_sets:
        for state in ("unrun", "unneeded"):
            if count := stored.counts.get(state, 0):
                remedy = f": only the record can prove that: --run {evidence.run_id}" if state == "unneeded" else ""
                yield f"{stored.name}: {count:,} samples are {state}{remedy}"


def _model_faults(entry: Entry, claim: Claim) -> Iterator[str]:
    if claim.model != name_of(entry.model_id) and entry.model_id != claim.spec:
        yield f"{claim.source} evaluated {claim.spec}, but this version is {entry.model_id}"
    if (home := server_of(entry)) and not is_same_server(claim.base_url, home):
        known = "is served" if entry.base_url else "was evaluated before"
        yield f"{claim.source} used {claim.base_url or 'no server'}, but this version {known} at {home}"
    if entry.model_id.startswith("local:"):
        known = entry.evidence.identity if entry.evidence else ""
        if known and known != claim.identity:
            yield f"{claim.source} evaluated other weights than its evidence so far: add them as a new version"
        return
    for name in claim.answered_by:
        if name and not answers_for(name, claim.model):
            yield f"the server answered as {name} to requests for {claim.model}"


def _plan_faults(claim: Claim, eval_sets: Sequence[EvalSet]) -> Iterator[str]:
    plans = {plan.name: plan for plan in claim.plans}
    if not eval_sets:
        yield "there are no eval sets now, so there is nothing to judge by"
    for eval_set in eval_sets:
        plan = plans.pop(eval_set.name, None)
        if plan is None:
            yield f"{eval_set.name}: not evaluated in this run"
        elif changed := changes_since(plan, eval_set):
            yield f"{eval_set.name}: {changed} since the run; run it again"
    for name in plans:
        yield f"{name}: evaluated in the run, but not among the current eval sets"


def _verdict_faults(claim: Claim, eval_sets: Sequence[EvalSet], waived: Container[tuple[str, str]]) -> Iterator[str]:
    for verdict in claim.verdicts:
        if verdict.status != Status.PASS and (verdict.eval_set, verdict.gate) not in waived:
            reason = verdict.message.removeprefix(f"{verdict.status}: ")
            yield f"{verdict.eval_set}: gate {verdict.gate} is {verdict.status}: {reason}"
    judged = {(verdict.eval_set, verdict.gate) for verdict in claim.verdicts}
    asked = {plan.name for plan in claim.plans}
    for eval_set in eval_sets:
        for rule in eval_set.settings.judged_by if eval_set.name in asked else ():
            if (eval_set.name, rule.label) not in judged:
                yield f"{eval_set.name}: gate {rule.label} has no verdict"


def _quality_faults(eval_sets: Sequence[EvalSet]) -> Iterator[str]:
    for eval_set in eval_sets:
        decides = eval_set.scorer.form_decides
        if not quality_is_guarded(eval_set.settings.judged_by, eval_set.cases, form_decides=decides):
            yield f"{eval_set.name}: no gate guards its quality over all its cases; add one, such as accuracy with min"


def _version_faults(claim: Claim, plugin_version: str) -> Iterator[str]:
    from packaging.version import InvalidVersion, Version

    try:
        older = Version(plugin_version) < Version(claim.plugin)
    except InvalidVersion:
        older = plugin_version != claim.plugin
    if older:
        yield f"{claim.source} was made by pytest-finetune {claim.plugin}, but this is {plugin_version}: upgrade"
