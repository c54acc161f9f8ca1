"""Where the current eval sets demand less than the production version had to pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.entry import VersionStatus
from pytest_finetune.lifecycle.registry.evidence import changes_since
from pytest_finetune.verdicts.gates.strictness import lost_demand
from pytest_finetune.verdicts.label_cases import cases_by_label
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.evaluation.runs import VerdictRecord
    from pytest_finetune.lifecycle.registry.entry import Evidence, EvidenceSet, Registry
    from pytest_finetune.verdicts.evalset import EvalSet


def weakened_gates(registry: Registry, eval_sets: Sequence[EvalSet]) -> list[str]:
    """
    What the production version had to pass and a new version does not, one clause each.

    If there is no production version now, or none with evidence, the latest one with evidence counts: its gates still
    apply after it is gone.
    """
    return [
        f"{eval_set.name}: {clause}"
        for stored, eval_set in _pairs(_latest_evidence(registry), eval_sets)
        for clause in (*_smaller_plan(stored, eval_set), *_gates_lost(stored, eval_set))
    ]


def changes_since_production(registry: Registry, eval_sets: Sequence[EvalSet]) -> list[str]:
    """Changes of eval sets that may have made them easier or harder, which only a reviewer can judge."""
    return [
        f"{eval_set.name}: {changed} since production was evaluated; check that it has not become easier"
        for stored, eval_set in _pairs(_latest_evidence(registry), eval_sets)
        if (changed := changes_since(stored, eval_set))
    ]


def _latest_evidence(registry: Registry) -> Evidence | None:
    found = [entry for entry in registry.entries.values() if entry.status is VersionStatus.PRODUCTION]
    earlier = (event.version for event in reversed(registry.history) if event.after is VersionStatus.PRODUCTION)
    found += [registry.entries[version] for version in earlier if version in registry.entries]
    return next((entry.evidence for entry in found if entry.evidence), None)


def _pairs(evidence: Evidence | None, eval_sets: Sequence[EvalSet]) -> Iterator[tuple[EvidenceSet, EvalSet]]:
    """Each set of the evidence with that of today; a set with other cases by name, a renamed one by its cases."""
    named = {eval_set.name: eval_set for eval_set in eval_sets}
    by_cases = {eval_set.cases_sha256: eval_set for eval_set in eval_sets}
    for stored in evidence.eval_sets if evidence else ():
        if eval_set := named.get(stored.name) or by_cases.get(stored.cases_sha256):
            yield stored, eval_set


def _smaller_plan(stored: EvidenceSet, eval_set: EvalSet) -> Iterator[str]:
    cases = len(eval_set.cases)
    if cases < stored.cases:
        yield f"production was evaluated on {stored.cases:,} cases, and now there are {cases:,}"
    if eval_set.repeats < stored.repeats:
        yield f"production was evaluated with {stored.repeats} attempts per case, and now there are {eval_set.repeats}"


def _gates_lost(stored: EvidenceSet, eval_set: EvalSet) -> Iterator[str]:
    gates = eval_set.settings.judged_by
    for verdict in stored.verdicts:
        if verdict.rule is None:
            # Records of an earlier version hold the label alone.
            lost = "" if verdict.gate in {gate.label for gate in gates} else "no gate demands it now"
        else:
            lost = lost_demand(verdict.rule, gates) or _narrowed(verdict, eval_set)
        if lost:
            yield f"production had to pass {verdict.gate}: {lost}"


def _narrowed(verdict: VerdictRecord, eval_set: EvalSet) -> str:
    """That a gate's slice has lost cases; the other metrics count answers in `planned`."""
    rule = verdict.rule
    if rule is None or rule.metric not in (*SHARES, "recall"):
        return ""
    cases = [case for case in eval_set.cases if rule.covers(case)]
    if rule.metric == "recall" and rule.of_label != EVERY_LABEL:
        cases = cases_by_label(eval_set.settings, rule.scorer, cases).get(rule.of_label, [])
    covered = len(cases)
    return f"its slice had {verdict.planned:,} cases and has {covered:,}" if covered < verdict.planned else ""
