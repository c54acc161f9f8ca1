"""The version in production as a baseline for gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry import Backend, open_registry, production_of, read_checked
from pytest_finetune.lifecycle.registry.evidence import baseline_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_finetune.evaluation.baseline import Baselines
    from pytest_finetune.verdicts.evalset import EvalSet

PRODUCTION_SPEC = "registry:production"


def registry_of(location: str, root: Path) -> Backend:
    """The registry at a location; a path is relative to the root."""
    return open_registry(location if location.startswith("mlflow:") else root / location)


def wants_production(eval_sets: Sequence[EvalSet], location: str, root: Path) -> bool:
    """Whether a gate compares with production, and the registry has a version in production."""
    compared = any(gate.against_production for eval_set in eval_sets for gate in eval_set.settings.rules)
    there = location.startswith("mlflow:") or (root / location).exists()
    return compared and there and production_of(read_checked(registry_of(location, root))) is not None


def stored_baselines(eval_sets: Sequence[EvalSet], backend: Backend) -> Baselines:
    """
    The evidence of the production version as the baseline of each eval set that compares with production.

    Empty unless the evidence covers all of them with the same hashes; then the production model must be evaluated.
    """
    entry = production_of(read_checked(backend))
    found: Baselines = {}
    for eval_set in eval_sets:
        if any(gate.against_production for gate in eval_set.settings.rules):
            baseline = baseline_from(entry.evidence, eval_set) if entry and entry.evidence else None
            if baseline is None:
                return {}
            found[eval_set.name] = baseline
    return found
