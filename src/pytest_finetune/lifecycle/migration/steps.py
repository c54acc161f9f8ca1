"""The steps of a migration, each done, next, or later, as the records and the registry show."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.entry import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.lifecycle.registry import Registry
    from pytest_finetune.verdicts.evalset import EvalSet

DONE, NEXT, LATER, NOT_NEEDED = "done", "next", "later", "not needed"


@dataclass(frozen=True, slots=True)
class Step:
    """
    A step of a migration.

    Args:
        name: `inventory`, `record`, `candidates`, `judge`, `distil`, `promote`.
        state: `done`, `next`, `later` or `not needed`.
        detail: What was found, or what is missing, in one clause.
        command: What to run for it; empty if there is nothing to run.
    """

    name: str
    state: str
    detail: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    What is known about a migration.

    Args:
        model: The model that is shut down.
        end: When, in words.
        gone: It is shut down already.
        cases: Number of cases of the project's eval sets.
        recorded: The latest closed run of it over all eval sets; None without.
        candidates: Models that could replace it.
        judged: The latest such run of each successor.
        ready: The successors that are not worse.
        successors: The models to judge.
        prompts: A run of its answers to other prompts; None without.
        registry: The versions.
    """

    model: str
    end: str
    gone: bool
    cases: int
    recorded: Run | None
    candidates: Sequence[str]
    judged: Mapping[str, Run]
    ready: Sequence[str]
    successors: Sequence[str]
    prompts: Run | None
    registry: Registry


def steps_of(progress: Progress) -> list[Step]:
    """The steps in order; one of them at most is next."""
    found = [
        Step("inventory", DONE, f"{progress.model} {progress.end}", "pytest-finetune migrate inventory --ask"),
        _record(progress),
        _candidates(progress),
        _judge(progress),
        _distil(progress),
        _promote(progress),
    ]
    first = next((step for step in found if step.state == NEXT), None)
    return [
        Step(step.name, LATER, step.detail, step.command) if step.state == NEXT and step is not first else step
        for step in found
    ]


def runs_over(store: RunStore, eval_sets: Sequence[EvalSet]) -> list[Run]:
    """The closed runs that have all cases of some eval sets as they are now, the latest first."""
    wanted = {(one.name, one.cases_sha256) for one in eval_sets}
    return [
        run
        for run in store.readable()
        if run.manifest.closed and wanted <= {(plan.name, plan.cases_sha256) for plan in run.manifest.eval_sets}
    ]


def run_of(model: str, runs: Iterable[Run]) -> Run | None:
    """The first of some runs that a model answered: by its id, or by what `--model` named."""
    return next((run for run in runs if model in (run.manifest.target.model, run.manifest.target.spec)), None)


def prompts_run(model: str, store: RunStore, eval_sets: Sequence[Path], root: Path) -> Run | None:
    """The latest closed run of a model over none of the project's eval sets."""
    judged = {path.resolve() for path in eval_sets}
    return run_of(
        model,
        (
            run
            for run in store.readable()
            if run.manifest.closed
            and all((root / plan.name).resolve() not in judged for plan in run.manifest.eval_sets)
        ),
    )


def _record(progress: Progress) -> Step:
    if progress.recorded:
        return Step("record", DONE, f"its answers are in run {progress.recorded.id}")
    if not progress.cases:
        detail = "the project has no eval sets; import them from another tool, or draft one"
        return Step("record", NEXT, detail, "pytest-finetune import FILE")
    if progress.gone:
        detail = "no run has its answers to the current eval sets, and it is gone; import what others recorded"
        return Step("record", NEXT, detail, "pytest-finetune import FILE")
    detail = (
        f"no run has all its answers to the eval sets ({progress.cases:,} case{'' if progress.cases == 1 else 's'})"
    )
    return Step("record", NEXT, detail, f"pytest-finetune migrate record {shlex.quote(progress.model)}")


def _candidates(progress: Progress) -> Step:
    command = f"pytest-finetune migrate candidates {shlex.quote(progress.model)} --ask"
    if progress.successors:
        return Step("candidates", DONE, ", ".join(progress.successors), command)
    detail = "none is known; name one with --successor, or train one"
    return Step("candidates", NEXT, detail, command)


def _judge(progress: Progress) -> Step:
    open_ = [model for model in progress.successors if model not in progress.judged]
    if progress.recorded and progress.successors and (progress.ready or not open_):
        ready = f"not worse: {', '.join(progress.ready)}" if progress.ready else "none is shown to be not worse"
        names = " ".join(run.id for run in progress.judged.values())
        return Step("judge", DONE, ready, f"pytest-finetune migrate report {progress.recorded.id} {names}")
    run = progress.recorded.id if progress.recorded else "RUN"
    models = " ".join(map(shlex.quote, open_)) or "MODEL"
    detail = f"not evaluated yet: {', '.join(open_)}" if open_ else "needs a candidate"
    return Step("judge", NEXT, detail, f"pytest-finetune migrate judge {run} {models}")


def _distil(progress: Progress) -> Step:
    if progress.ready:
        return Step("distil", NOT_NEEDED, "a successor is as good without training")
    if progress.prompts:
        detail = "then train a successor on them with `pytest-finetune train start`, and judge it with --successor"
        return Step("distil", NEXT, detail, f"pytest-finetune migrate distil {progress.prompts.id} train.jsonl")
    if progress.gone:
        return Step("distil", LATER, "no run has its answers to prompts outside of the eval sets, and it is gone")
    command = f"pytest-finetune migrate record {shlex.quote(progress.model)} --prompts=FILE"
    return Step("distil", NEXT, "needs its answers to prompts outside of the eval sets", command)


def _promote(progress: Progress) -> Step:
    if not progress.ready:
        return Step("promote", LATER, "needs a successor that is not worse", "pytest-finetune registry promote VERSION")
    model = progress.ready[0]
    run = progress.judged[model].id if model in progress.judged else "RUN"
    versions = {entry.model_id: (version, entry.status) for version, entry in progress.registry.entries.items()}
    version, status = versions.get(model, ("", ""))
    if status == VersionStatus.PRODUCTION:
        until = (
            "" if progress.gone else f"; until {progress.model} ends, `pytest-finetune registry rollback` returns to it"
        )
        return Step("promote", DONE, f"{version} is in production{until}")
    if status == VersionStatus.CANARY:
        detail = f"{version} answers a share of the users; promote it when its gates hold"
        return Step("promote", NEXT, detail, f"pytest-finetune registry promote {version} --run={run}")
    if status == VersionStatus.CANDIDATE:
        detail = f"give {version} a small share of the traffic first"
        return Step("promote", NEXT, detail, f"pytest-finetune registry canary {version} --traffic=0.05 --run={run}")
    detail = f"{model} is not in the registry, or no longer in use there"
    return Step("promote", NEXT, detail, f"pytest-finetune registry add VERSION --model-id={shlex.quote(model)}")
