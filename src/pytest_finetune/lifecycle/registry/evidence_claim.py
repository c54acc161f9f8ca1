"""A common view of run records and stored evidence, so that the same rules judge both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.entry import Evidence

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import BaselineRecord, EvalSetPlan, Run, VerdictRecord
    from pytest_finetune.lifecycle.registry.entry import EvidenceSet


@dataclass(frozen=True, slots=True)
class Claim:
    """The fields are those of the manifest; `source` names it in messages: `the run` or `the evidence`."""

    source: str
    spec: str
    model: str
    base_url: str
    identity: str
    answered_by: tuple[str, ...]
    plugin: str
    git_dirty: bool
    plans: tuple[EvalSetPlan | EvidenceSet, ...]
    verdicts: tuple[VerdictRecord, ...]
    baselines: tuple[BaselineRecord, ...]
    compared_with: tuple[str, ...]


def claim_of(proof: Run | Evidence) -> Claim:
    """The view of a run record or of stored evidence."""
    if isinstance(proof, Evidence):
        return Claim(
            "the evidence",
            proof.spec,
            proof.model_id,
            proof.base_url,
            proof.identity,
            proof.answered_by,
            proof.pytest_finetune,
            proof.git_dirty,
            proof.eval_sets,
            tuple(verdict for one in proof.eval_sets for verdict in one.verdicts),
            proof.baselines,
            proof.compared_with,
        )
    manifest, target = proof.manifest, proof.manifest.target
    return Claim(
        "the run",
        target.spec,
        target.model,
        target.base_url,
        target.identity,
        manifest.answered_by,
        manifest.versions.pytest_finetune,
        manifest.versions.git_dirty,
        manifest.eval_sets,
        manifest.verdicts,
        manifest.baselines,
        manifest.compared_with,
    )
