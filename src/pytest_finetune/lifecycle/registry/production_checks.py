"""Checks against production: that comparisons were made with it, and that none of its eval sets is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.evaluation.same_model import is_same_server, why_same
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.evaluation.runs import BaselineRecord
    from pytest_finetune.lifecycle.registry.entry import Entry
    from pytest_finetune.lifecycle.registry.evidence_claim import Claim
    from pytest_finetune.verdicts.evalset import EvalSet


def server_of(entry: Entry) -> str:
    """
    The server that a version is evaluated on: its own, else that of the run it was first accepted on.

    Empty if neither is known.
    """
    return (entry.base_url or (entry.evidence.base_url if entry.evidence else "")).rstrip("/")


def server_fault(entry: Entry, claim: Claim, production: Entry | None) -> str:
    """
    Why a version without a server of its own was evaluated on the wrong one; empty if it was not.

    If production has no server of its own either, callers use one server for both.
    """
    if production is None or production.base_url or server_of(entry):
        return ""
    home = server_of(production)
    if not home or is_same_server(claim.base_url, home) or entry.model_id.startswith("local:"):
        return ""
    used = claim.base_url or "no server"
    return f"{claim.source} used {used}, but production is evaluated at {home}: add the version with its --base-url"


def comparison_faults(
    claim: Claim, eval_sets: Sequence[EvalSet], production: Entry | None, *, first: bool
) -> Iterator[str]:
    """Comparisons that prove nothing: with the model itself, or with something other than production."""
    if any(gate.compares for eval_set in eval_sets for gate in eval_set.settings.rules):
        yield from _compared_with_itself(claim)
    if not any(gate.against_production for eval_set in eval_sets for gate in eval_set.settings.rules):
        return
    if production is None:
        yield from _missing_production_faults(eval_sets, first=first)
    elif not claim.baselines:
        others = f" ({', '.join(claim.compared_with)}, on an unknown server)" if claim.compared_with else ""
        yield f"{claim.source} does not record which production its gates were compared with{others}: run it again"
    else:
        for baseline in claim.baselines:
            if fault := _stand_in_fault(baseline, production):
                yield f"{claim.source} was compared with {fault}"


def coverage_faults(claim: Claim, eval_sets: Sequence[EvalSet], production: Entry | None) -> Iterator[str]:
    """Eval sets in the evidence of production that are missing here; a renamed one is not missing."""
    known = {plan.name for plan in claim.plans} | {eval_set.name for eval_set in eval_sets}
    hashes = {plan.cases_sha256 for plan in claim.plans}
    evidence = production.evidence if production else None
    for stored in evidence.eval_sets if evidence else ():
        if stored.name not in known and stored.cases_sha256 not in hashes:
            yield f"{stored.name}: production was evaluated on it, but this version was not"


def waived_gates(claim: Claim, eval_sets: Sequence[EvalSet]) -> set[tuple[str, str]]:
    """The gates, as (eval set, label), that had no production to compare with; a first version need not pass them."""
    compared = {
        (eval_set.name, gate.label)
        for eval_set in eval_sets
        for gate in eval_set.settings.rules
        if gate.against_production
    }
    incomplete = {(one.eval_set, one.gate) for one in claim.verdicts if one.status == Status.INCOMPLETE}
    return compared & incomplete


def _compared_with_itself(claim: Claim) -> Iterator[str]:
    for baseline in claim.baselines:
        if itself := why_same(claim, baseline):
            yield f"{claim.source} compared the model with itself, named {baseline.name}: {itself}"


def _missing_production_faults(eval_sets: Sequence[EvalSet], *, first: bool) -> Iterator[str]:
    if not first:
        yield "gates compare with production, but there is none now: roll back first, or pass --force"
        return
    for eval_set in eval_sets:
        gates = eval_set.settings.rules
        if gates and all(gate.against_production for gate in gates):
            yield f"{eval_set.name}: every gate compares with production, and there is none yet: add a fixed threshold"


def _stand_in_fault(baseline: BaselineRecord, production: Entry) -> str:
    """Why the answers of a baseline are not those of production; empty if they are."""
    model, home = production.model_id, server_of(production)
    if baseline.model not in (model, model.removeprefix("local:")):
        return f"{baseline.model or baseline.name}, but production is {model}"
    if home and not is_same_server(baseline.base_url, home):
        return f"{baseline.model} at {baseline.base_url or 'no server'}, but production is evaluated at {home}"
    if model.startswith("local:") and production.evidence:
        # The identity is the hash of the weights, engine and context; the last two are the same for both models.
        theirs, known = (text.partition(" ")[0] for text in (baseline.identity, production.evidence.identity))
        if theirs != known:
            return f"other weights of {baseline.model} than those in production"
    return f"{baseline.name}, but {baseline.doubt}" if baseline.doubt else ""
