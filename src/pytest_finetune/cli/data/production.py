"""Collects what is known about production: from the registry, the run it was promoted on, and one request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, RunError
from pytest_finetune.cli.runs.options import run_store
from pytest_finetune.evaluation.runs.copies import recorded_set
from pytest_finetune.lifecycle.data.canonical import example_of_case
from pytest_finetune.lifecycle.data.production import Production, PromotionRequests, read_production, request_settings
from pytest_finetune.lifecycle.registry import open_registry, production_of, read_checked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan
    from pytest_finetune.lifecycle.registry.entry import Evidence


def load_production(
    registry: str | None, request: Path | None, names: Collection[str]
) -> tuple[Production | None, tuple[str, ...]]:
    """
    Load what the registry and a request show about production, with messages about what cannot be compared.

    Args:
        registry: Location, as for `open_registry`; None without a registry.
        request: A file with one request body; None without one.
        names: The eval sets to compare.

    Raises:
        DataError: No version is in production, or the request cannot be read.
        RegistryError: The registry cannot be read.
    """
    sent = None if request is None else read_production(request)
    if registry is None:
        return sent, ()
    backend = open_registry(registry)
    entry = production_of(read_checked(backend))
    if entry is None:
        raise DataError("no version is in production", backend.location, "check the path, or omit --registry")
    known = sent or Production(entry.model_id)
    if entry.evidence is None:
        return replace(known, promoted=entry.model_id), (f"not compared with {entry.model_id}: it has no evidence",)
    hashes = {each.name: (each.settings_sha256, each.schema_sha256) for each in entry.evidence.eval_sets}
    requests = dict(_recorded_requests(entry.evidence))
    not_compared = tuple(_not_compared(entry.model_id, entry.evidence, requests, names))
    return replace(known, promoted=entry.model_id, hashes=hashes, requests=requests), not_compared


def _not_compared(
    model: str, evidence: Evidence, requests: Mapping[str, PromotionRequests], names: Collection[str]
) -> Iterator[str]:
    """Messages about eval sets that cannot be compared, or only by their hashes."""
    promoted_on = [each.name for each in evidence.eval_sets]
    if others := [name for name in names if name not in promoted_on]:
        yield f"not compared: {', '.join(others)}; {model} was promoted on {', '.join(promoted_on)}"
    if missing := [name for name in promoted_on if name not in requests]:
        yield (
            f"only hashes compared: {', '.join(missing)}; "
            f"run {evidence.run_id}, which {model} was promoted on, is not here or has changed"
        )


def _recorded_requests(evidence: Evidence) -> Iterator[tuple[str, PromotionRequests]]:
    """The recorded requests by eval set; empty if the run's record is missing or has other eval sets."""
    try:
        run = run_store().find(evidence.run_id)
    except RunError:
        return
    hashes = {(each.name, each.cases_sha256, each.settings_sha256) for each in evidence.eval_sets}
    for plan in run.manifest.eval_sets:
        kept = _kept(run, plan) if (plan.name, plan.cases_sha256, plan.settings_sha256) in hashes else None
        if kept is not None:
            yield plan.name, kept


def _kept(run: Run, plan: EvalSetPlan) -> PromotionRequests | None:
    found = recorded_set(run, plan, root=Path.cwd())
    if found.cases is None or found.settings is None:
        return None
    tools = found.settings.request.tools or ()
    examples = [example_of_case(plan.name, case, tools) for case in found.cases]
    return PromotionRequests(
        request_settings(found.settings),
        frozenset(each.system for each in examples),
        frozenset(each.tools for each in examples),
    )
