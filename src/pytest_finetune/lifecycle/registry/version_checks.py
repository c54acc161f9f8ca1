"""Checks of a version besides its evidence: fallbacks, rejections of its model, and its current weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TargetError
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.evaluation.same_model import is_same_server
from pytest_finetune.evaluation.targets.weights import find_weights
from pytest_finetune.lifecycle.registry.entry import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.lifecycle.registry.entry import Entry, Registry
    from pytest_finetune.lifecycle.registry.evidence_claim import Claim

LOCAL = "local:"


def history_faults(registry: Registry, version: str, proof: Run | Evidence | None) -> list[str]:
    """Reasons in the history against a version: fallbacks since its evaluation, a rejected model, forced evidence."""
    closed = proof.manifest.closed_at if isinstance(proof, Run) else proof.closed_at if proof else None
    same = {version, *_of_one_model(registry, version, proof)}
    found = []
    for event in registry.history:
        if event.action == "fallback" and event.version in same and (closed is None or event.at > closed):
            what = "it" if event.version == version else f"{event.version}, the same model,"
            found.append(f"the router fell back from {what} on {event.at:%Y-%m-%d %H:%M}: {event.why}")
        elif event.action == "reject" and event.version in same - {version}:
            found.append(f"{event.version} is the same model, and was rejected on {event.at:%Y-%m-%d}: {event.why}")
    mine = (event for event in registry.history if event.version == version)
    if isinstance(proof, Evidence) and any(event.forced and event.action in ("canary", "promote") for event in mine):
        found.append("its evidence was accepted by --force: name a run that passes, with --run")
    return found


def weights_fault(entry: Entry, claim: Claim, models: Path) -> str:
    """Why the weights of a local version are not those that were evaluated; empty if they are, or are not here."""
    current = _current_weights(entry, models)
    if current and current != claim.identity.partition(" ")[0]:
        return f"{claim.source} evaluated other weights than {entry.model_id} has now: run it again"
    return ""


def missing_weights(entry: Entry, models: Path) -> str:
    """A warning that the weights of a local version are not here and were not compared; empty if they are here."""
    if not entry.model_id.startswith(LOCAL) or _current_weights(entry, models):
        return ""
    return f"the weights of {entry.model_id} are not on this machine, so they were not compared with those evaluated"


def _of_one_model(registry: Registry, version: str, proof: Run | Evidence | None) -> Iterator[str]:
    """Other versions that are the same model."""
    mine = registry.entries[version]
    for other, entry in registry.entries.items():
        alike = entry.model_id == mine.model_id and is_same_server(entry.base_url, mine.base_url)
        if other != version and alike and (not mine.model_id.startswith(LOCAL) or _same_weights(entry, proof)):
            yield other


def _same_weights(entry: Entry, proof: Run | Evidence | None) -> bool:
    """Whether two local models have the same weights; one name may hold different weights. False if unknown."""
    identity = proof.manifest.target.identity if isinstance(proof, Run) else proof.identity if proof else ""
    known = entry.evidence.identity if entry.evidence else ""
    return bool(known) and known.partition(" ")[0] == identity.partition(" ")[0]


def _current_weights(entry: Entry, models: Path) -> str:
    if not entry.model_id.startswith(LOCAL):
        return ""
    try:
        return find_weights(entry.model_id, models).sha256()
    except (TargetError, OSError):
        return ""
