"""What is known of production: by the registry, by the record of the run it was promoted by, by a kept request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, RunError
from pytest_finetune.cli.runs.options import run_store
from pytest_finetune.evaluation.runs.copies import asked_set
from pytest_finetune.lifecycle.data.chat_example import example_of_case
from pytest_finetune.lifecycle.data.parity import Asked, Production, read_production, request_of
from pytest_finetune.lifecycle.registry import open_registry, production_of, read_checked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan
    from pytest_finetune.lifecycle.registry.entry import Evidence


def known_production(
    registry: str | None, request: Path | None, names: Collection[str]
) -> tuple[Production | None, tuple[str, ...]]:
    """
    What the registry and a kept request tell of production, and in a sentence each what they cannot tell.

    Args:
        registry: As `open_registry` takes it.
        request: A file with one request body.
        names: The eval sets that are compared.

    Raises:
        DataError: Nothing is in production, or the request cannot be read.
        RegistryError: The registry cannot be read.
    """
    sent = None if request is None else read_production(request)
    if registry is None:
        return sent, ()
    backend = open_registry(registry)
    entry = production_of(read_checked(backend))
    if entry is None:
        raise DataError("no version is in production", backend.location, "check the path, or leave out --registry")
    known = sent or Production(entry.model_id)
    if entry.evidence is None:
        return replace(known, promoted=entry.model_id), (f"{entry.model_id} has no evidence: it is not compared with",)
    hashes = {each.name: (each.settings_sha256, each.schema_sha256) for each in entry.evidence.eval_sets}
    asked = dict(_asked(entry.evidence))
    unknown = tuple(_unknown(entry.model_id, entry.evidence, asked, names))
    return replace(known, promoted=entry.model_id, hashes=hashes, asked=asked), unknown


def _unknown(model: str, evidence: Evidence, asked: Mapping[str, Asked], names: Collection[str]) -> Iterator[str]:
    """What no comparison can be made of."""
    promoted_by = [each.name for each in evidence.eval_sets]
    if strangers := [name for name in names if name not in promoted_by]:
        yield f"{model} was promoted by {', '.join(promoted_by)}; not compared: {', '.join(strangers)}"
    if gone := [name for name in promoted_by if name not in asked]:
        kept = f"the record of run {evidence.run_id}, by which {model} was promoted, is not here or has changed"
        yield f"{kept}; only hashes are compared: {', '.join(gone)}"


def _asked(evidence: Evidence) -> Iterator[tuple[str, Asked]]:
    """What the record of the run has kept, by eval set; nothing where it is gone, or holds other sets."""
    try:
        run = run_store().find(evidence.run_id)
    except RunError:
        return
    hashes = {(each.name, each.cases_sha256, each.settings_sha256) for each in evidence.eval_sets}
    for plan in run.manifest.eval_sets:
        kept = _kept(run, plan) if (plan.name, plan.cases_sha256, plan.settings_sha256) in hashes else None
        if kept is not None:
            yield plan.name, kept


def _kept(run: Run, plan: EvalSetPlan) -> Asked | None:
    found = asked_set(run, plan, root=Path.cwd())
    if found.cases is None or found.settings is None:
        return None
    tools = found.settings.request.tools or ()
    examples = [example_of_case(plan.name, case, tools) for case in found.cases]
    return Asked(
        request_of(found.settings),
        frozenset(each.system for each in examples),
        frozenset(each.tools for each in examples),
    )
