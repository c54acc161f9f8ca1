"""Whether a version may be promoted or become the canary: decided here for both the command and `--promote`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.entry import VersionStatus
from pytest_finetune.lifecycle.registry.evidence import evidence_of
from pytest_finetune.lifecycle.registry.promotion import cautions, refusals, waived_gate_clauses
from pytest_finetune.lifecycle.registry.states import Change
from pytest_finetune.lifecycle.registry.transitions import is_before_first, production_of
from pytest_finetune.lifecycle.registry.verification import history_problem
from pytest_finetune.lifecycle.registry.version_checks import history_faults
from pytest_finetune.lifecycle.registry.weakened_gates import changes_since_production, weakened_gates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.lifecycle.registry.entry import Entry, Evidence, Registry
    from pytest_finetune.lifecycle.registry.judged_sets import JudgedSets


@dataclass(frozen=True, slots=True)
class Assessment:
    """
    The reasons against a step of a version, and the step itself.

    Attributes:
        action: `promote` or `canary`.
        version: The version.
        refusals: All reasons against the step; if there are any, it needs to be forced.
        cautions: What people should know although it does not prevent the step.
        waived: Gates against production that the first version need not pass, one clause each.
        seq: `seq` of the registry that was judged; apply the change to this state only.
        at: When the step was judged.
    """

    action: str
    version: str
    refusals: tuple[str, ...]
    cautions: tuple[str, ...]
    waived: tuple[str, ...]
    seq: int
    at: datetime
    _evidence: Evidence | None
    _traffic: float | None
    _because: tuple[str, ...]

    def change(self, *, who: str, reason: str = "") -> Change:
        """The change to apply; if there are refusals it is forced and names them."""
        against = f"against: {'; '.join(self.refusals)}" if self.refusals else ""
        parts = (reason, *self._because, *self.waived, against)
        return Change(
            self.action,
            self.version,
            who,
            "; ".join(part for part in parts if part),
            forced=bool(self.refusals),
            evidence=self._evidence,
            traffic=self._traffic,
        )


def assess(
    registry: Registry,
    version: str,
    run: Run | None,
    judged_by: Callable[[], JudgedSets],
    *,
    now: datetime,
    plugin_version: str,
    models: Path,
    action: str = "promote",
    traffic: float | None = None,
    known_problems: Sequence[str] = (),
) -> Assessment:
    """
    Judge whether a version may be promoted, or become the canary.

    Args:
        registry: The registry as it was read.
        version: A version in it.
        run: The run that is the evidence; None takes the evidence that the version has.
        judged_by: Loads what it is judged by; called if there is evidence to judge.
        now: When the step would be taken.
        plugin_version: The version of this plugin.
        models: Folder of local models, whose weights must be those that were evaluated.
        action: `promote` or `canary`.
        traffic: Share of users in [0, 1] for a canary.
        known_problems: Reasons that the caller knows, such as failed tests of the session.

    Raises:
        RunError: A line of the record is damaged.
    """
    entry = registry.entries[version]
    because = ["" if traffic is None else f"traffic {traffic:.3g}", f"run {run.id}" if run else ""]
    assessed = partial(Assessment, action, version, seq=registry.seq, at=now, _traffic=traffic)
    if action == "canary" and run is None and entry.status is VersionStatus.CANARY:
        # A canary has been accepted already: another share needs no new evidence.
        return assessed((), (), (), _evidence=None, _because=tuple(because))
    proof = run or entry.evidence
    judged = judged_by() if proof else None
    refused, notes, waived = [*known_problems, *_registry_faults(registry)], [], []
    if proof is None or judged is None:
        refused.append("there is no evidence yet: evaluate it with pytest --model=…, and name the run with --run")
    else:
        because.append(f"judged by {', '.join(judged.chosen)} only" if judged.chosen else "")
        refused += _cache_faults(run)
        refused += _evidence_faults(
            registry, entry, proof, judged, now=now, plugin_version=plugin_version, models=models
        )
        waived = waived_gate_clauses(proof, judged.eval_sets) if is_before_first(registry) else []
        notes = [*cautions(entry, proof, now=now, models=models), *changes_since_production(registry, judged.eval_sets)]
    refused += history_faults(registry, version, proof)
    evidence = evidence_of(run, judged.eval_sets) if run and judged and run.manifest.closed else None
    return assessed(tuple(refused), (*waived, *notes), tuple(waived), _evidence=evidence, _because=tuple(because))


def _evidence_faults(
    registry: Registry,
    entry: Entry,
    proof: Run | Evidence,
    judged: JudgedSets,
    *,
    now: datetime,
    plugin_version: str,
    models: Path,
) -> list[str]:
    """Reasons in the evidence, and in what it was judged by."""
    faults = refusals(
        entry,
        proof,
        judged.eval_sets,
        now=now,
        plugin_version=plugin_version,
        production=production_of(registry),
        first=is_before_first(registry),
        models=models,
    )
    faults += weakened_gates(registry, judged.eval_sets)
    return [*faults, *(f"{name}: left out by --eval-sets" for name in judged.left_out)]


def _registry_faults(registry: Registry) -> list[str]:
    problem = history_problem(registry)
    return [f"the registry {problem}"] if problem else []


def _cache_faults(run: Run | None) -> list[str]:
    """Answers from the response cache say nothing about the model that the server runs now."""
    cached = run.manifest.totals.from_cache if run else 0
    if not cached:
        return []
    answers = "1 answer" if cached == 1 else f"{cached:,} answers"
    return [f"{answers} came from the cache: evaluate it again with --finetune-no-cache"]
