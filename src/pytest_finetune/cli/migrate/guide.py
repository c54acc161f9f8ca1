"""`pytest-finetune migrate` without a subcommand: the steps in order, each run once it is agreed to."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.text import printable
from pytest_finetune.cli.migrate.account import evaluate_shown, read_account
from pytest_finetune.cli.migrate.candidates import SOON, candidates_for
from pytest_finetune.cli.migrate.judge import repeats_of
from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.cli.registry.options import warned
from pytest_finetune.cli.runs.options import run_store
from pytest_finetune.lifecycle.data.writing import new_files
from pytest_finetune.lifecycle.migration.inventory import UsedModel, ending, take_inventory
from pytest_finetune.lifecycle.migration.steps import NEXT, Progress, prompts_run, run_of, runs_over, steps_of
from pytest_finetune.lifecycle.registry import FileBackend
from pytest_finetune.reports.migration import ending_words, inventory_json, inventory_lines, steps_json, steps_lines
from pytest_finetune.reports.successors import (
    compare_successors,
    migration_json,
    migration_lines,
    migration_markdown,
)
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.api.result import EvaluationResult
    from pytest_finetune.cli.migrate.account import GuideOptions
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.lifecycle.migration.steps import Step
    from pytest_finetune.reports.successors import Migration


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a migration is."""

    used: list[UsedModel]
    progress: Progress | None
    steps: list[Step]
    migration: Migration | None


def guide(options: GuideOptions) -> int:
    """Run what is agreed to, show where the migration is, and return the exit code."""
    state, stopped = _Guide(options), ""
    found, now = state.look(), state.now
    while found.progress and not stopped:
        step = next((each for each in found.steps if each.state == NEXT), None)
        if step is None or not _runnable(step, found.progress) or not _agreed(step, found.progress, options):
            break
        stopped = _run(step, found.progress, options)
        found = state.look()
    if options.output and found.migration:
        with new_files([options.output], force=options.force) as (file,):
            file.write(migration_markdown(found.migration, now=now).encode())
    if options.as_json:
        _print_json(found, stopped, now)
    else:
        _print(found, stopped, options, now)
    return 2 if stopped else int(_is_open(found, now))


class _Guide:
    """Reads where the migration is from the files, the registry and the records."""

    def __init__(self, options: GuideOptions) -> None:
        self._options, self.now = options, datetime.now(UTC)
        self._account = read_account(options.base_url, ask=options.ask)
        backend = options.backend
        self._registry = warned(backend.read(), backend.location)
        skip = backend.path if isinstance(backend, FileBackend) else None
        self._used = take_inventory(folder=Path(), registry=self._registry, account=self._account, skip=skip)

    def look(self) -> _Found:
        """Where it is now."""
        old = self._model_to_replace()
        if old is None:
            return _Found(self._used, None, [], None)
        progress, migration = self._progress(old)
        return _Found(self._used, progress, steps_of(progress), migration)

    def _model_to_replace(self) -> UsedModel | None:
        """The named model; else production, if it is shut down soon; else the only fine-tune that is, or model."""
        if named := self._options.model:
            return next((one for one in self._used if one.model == named), UsedModel(named, ()))
        soon = ending(self._used, within=SOON, now=self.now)
        production = {entry.model_id for entry in self._registry.entries.values() if entry.status == "production"}
        tuned = [one for one in soon if one.model.startswith("ft:") or ".ft-" in one.model]
        choices = [one for one in soon if one.model in production] or tuned or soon
        return choices[0] if len(choices) == 1 else None

    def _progress(self, old: UsedModel) -> tuple[Progress, Migration | None]:
        root, store = Path.cwd(), run_store()
        paths = find_eval_sets([root], root=root, patterns=configured_patterns(root))
        eval_sets = load_eval_sets(paths, root=root) if paths else []
        runs = runs_over(store, eval_sets) if eval_sets else []
        recorded = run_of(old.model, runs)
        candidates = candidates_for(old.model, self._used, self._registry, self._account)
        known = [one.model for one in candidates if one.listed is not False]
        successors = self._options.successors or tuple(known[:1])
        alike = [run for run in runs if recorded and _repeats(run) >= _repeats(recorded)]
        judged = {model: run for model in successors if (run := run_of(model, alike))}
        migration = self._compare(recorded, judged, root) if recorded and judged else None
        left = old.shutdown.days_left(self.now) if old.shutdown else None
        progress = Progress(
            model=old.model,
            end=ending_words(old, self.now),
            gone=left is not None and left <= 0,
            cases=sum(len(one.cases) for one in eval_sets),
            recorded=recorded,
            candidates=known,
            judged=judged,
            ready=[model for model, run in judged.items() if migration and run.id in migration.ready_runs],
            successors=successors,
            prompts=prompts_run(old.model, store, paths, root),
            registry=self._registry,
        )
        return progress, migration

    def _compare(self, recorded: Run, judged: dict[str, Run], root: Path) -> Migration:
        return compare_successors(
            recorded,
            list(judged.values()),
            root=root,
            margin=self._options.margin,
            confidence=self._options.confidence,
            monthly_calls=self._options.monthly_calls,
        )


def _runnable(step: Step, progress: Progress) -> bool:
    """Whether the guide runs the step itself; what needs a choice of the user is only named."""
    return (step.name == "record" and progress.cases > 0 and not progress.gone) or (
        step.name == "judge" and bool(progress.successors)
    )


def _agreed(step: Step, progress: Progress, options: GuideOptions) -> bool:
    if options.yes:
        return True
    if options.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    models = [progress.model] if step.name == "record" else _not_judged(progress)
    repeats = options.repeats if step.name == "record" or not progress.recorded else repeats_of(progress.recorded)
    count = len(models) * progress.cases * (repeats or 1)
    return click.confirm(f"{step.name}: send about {count:,} requests to {', '.join(models)}?", err=True)


def _repeats(run: Run) -> set[tuple[str, int]]:
    """How often the cases of each eval set were asked."""
    return {(plan.name, plan.repeats) for plan in run.manifest.eval_sets}


def _not_judged(progress: Progress) -> list[str]:
    return [model for model in progress.successors if model not in progress.judged]


def _run(step: Step, progress: Progress, options: GuideOptions) -> str:
    """Run a step, and return why it stopped early."""
    if step.name == "record":
        return _stop(_evaluated(progress.model, options.repeats, options))
    if progress.recorded is None:
        return ""
    old, repeats = progress.recorded.id, repeats_of(progress.recorded)
    return next(filter(None, (_stop(_evaluated(model, repeats, options, old)) for model in _not_judged(progress))), "")


def _evaluated(model: str, repeats: int | None, options: GuideOptions, compared: str = "") -> EvaluationResult:
    return evaluate_shown(
        (),
        model=model,
        repeats=repeats,
        base_url=options.base_url,
        max_cost=options.max_cost,
        registry=options.backend.location,
        compared=compared,
    )


def _stop(result: EvaluationResult) -> str:
    return f"{result.model}: {result.stopped.message}" if result.stopped else ""


def _is_open(found: _Found, now: datetime) -> bool:
    if found.progress is None:
        return bool(ending(found.used, within=SOON, now=now))
    return any(step.state == NEXT for step in found.steps)


def _print(found: _Found, stopped: str, options: GuideOptions, now: datetime) -> None:
    if found.progress is None:
        print_lines(inventory_lines(found.used, now=now))
        soon = ending(found.used, within=SOON, now=now)
        if soon:
            click.echo(f"next: pytest-finetune migrate --model={printable(soon[0].model)}, or another of them")
        else:
            click.echo(f"no model is known to be shut down within {SOON.days} days; --model names one nevertheless")
        return
    if found.migration and not options.output:
        print_lines(migration_lines(found.migration, now=now))
        click.echo()
    print_lines(steps_lines(found.steps))
    if stopped:
        click.echo(f"stopped early: {printable(stopped)}; the same command resumes", err=True)
    if options.output and found.migration:
        click.echo(f"wrote {printable(str(options.output))}")


def _print_json(found: _Found, stopped: str, now: datetime) -> None:
    print_json(
        {
            "model": found.progress.model if found.progress else None,
            "inventory": [inventory_json(one, now=now) for one in found.used],
            "candidates": list(found.progress.candidates) if found.progress else [],
            "steps": steps_json(found.steps),
            "comparison": migration_json(found.migration, now=now) if found.migration else None,
            "stopped": stopped or None,
        }
    )
