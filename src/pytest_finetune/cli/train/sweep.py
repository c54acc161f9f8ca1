"""`pytest-finetune train sweep`: every checkpoint of a job under the same gates, and the best one that passes."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.options import DEFAULT, who_option
from pytest_finetune.cli.runs.options import find_run, runs_dir
from pytest_finetune.cli.train.options import base_url_option, job_argument, job_store, read_dollars, service
from pytest_finetune.cli.train.watch import adopted
from pytest_finetune.evaluation.baseline import recorded_baselines
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate
from pytest_finetune.evaluation.targets import OpenAITarget
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.training.candidate import add_candidate, entry_of
from pytest_finetune.lifecycle.training.checkpoints import models_of
from pytest_finetune.lifecycle.training.job import figures
from pytest_finetune.lifecycle.training.sweep import Judged, best_of
from pytest_finetune.reports.training_sweep import sweep_json, sweep_lines
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.evaluation.baseline import Baselines
    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.lifecycle.training.candidate import Added
    from pytest_finetune.lifecycle.training.job import Job, JobCheckpoint
    from pytest_finetune.lifecycle.training.service import FineTuning
    from pytest_finetune.verdicts.evalset import EvalSet


@click.command("sweep")
@job_argument
@click.option(
    "--eval-sets",
    "named",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Files, or folders that hold them; repeatable.  [default: all below this folder]",
)
@click.option("--baseline", metavar="RUN", help="A recorded run that gates compare with.  [default: the registry's]")
@click.option("--registry", metavar="PATH|mlflow:URI", help="Make the best one a candidate here.")
@click.option("--version", metavar="NAME", help="Its name there.  [default: the next of v1, v2, …]")
@click.option("--fresh", is_flag=True, help="Ask again what is on record already.")
@click.option("--concurrency", type=click.IntRange(min=1), default=32, show_default=True, help="Requests in flight.")
@click.option(
    "--max-cost", metavar="USD", callback=read_dollars, help="For one checkpoint; nothing is asked beyond it."
)
@who_option
@runs_dir
@json_option
@base_url_option
def command(
    job: str, *, base_url: str | None, store: RunStore, named: tuple[Path, ...], as_json: bool, **how: Any
) -> None:
    """Evaluate every checkpoint of JOB and name the best one.

    Each is asked the same cases, one checkpoint after the other, scored, judged by the same gates, and recorded as a
    run like any other. Of those whose gates all pass the most accurate is named, of equals the earliest. What is on
    record is not asked again, so that a sweep that broke off goes on.

    \b
    Exit codes:
      0  a checkpoint passes
      1  none does
      2  none does so far, and the asking was stopped; or it could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    api, root = service(base_url, job), Path.cwd()
    done = api.job(job)
    models = models_of(api, done)
    if not models:
        hint = f"it is {done.status}: wait for its first epoch, pytest-finetune train watch {job}"
        raise TrainingError("the job has left no model behind", job, hint)
    eval_sets = _load(named, root)
    judged = _judge(api, models, eval_sets, _baselines(how["baseline"], store, eval_sets), store, **_asking(how, root))
    best = best_of(judged)
    added = _add(api, done, best, how) if best and (how["registry"] or how["version"]) else None
    if as_json:
        place = {"version": added.version, "is_new": added.is_new} if added else None
        print_json({"job": job, "status": done.status, **sweep_json(judged, best), "candidate": place})
    else:
        print_lines(sweep_lines(judged, best))
        if added:
            click.echo(f"{added.version}: {'new -> candidate' if added.is_new else 'was added already'}")
    sys.exit(0 if best else 2 if any(one.recorded.stopped for one in judged) else 1)


def _asking(how: dict[str, Any], root: Path) -> dict[str, Any]:
    limits = Limits(concurrency=how["concurrency"], max_cost=how["max_cost"])
    return {"limits": limits, "fresh": how["fresh"], "root": root}


def _load(named: Sequence[Path], root: Path) -> list[EvalSet]:
    files = {path: None for each in named or (root,) for path in eval_set_files(each.resolve(), root)}
    return load_eval_sets(list(files), root=root)


def _baselines(named: str | None, store: RunStore, eval_sets: Sequence[EvalSet]) -> Baselines:
    """What gates compare with: a recorded run, or what the registry keeps of production's answers."""
    if named:
        return recorded_baselines(f"replay:{named}", find_run(store, named), eval_sets)
    if not any(rule.against for eval_set in eval_sets for rule in eval_set.settings.rules):
        return {}
    from pytest_finetune.lifecycle.registry.production import stored_baselines

    return stored_baselines(eval_sets, open_registry(DEFAULT))


def _judge(
    api: FineTuning,
    models: Sequence[JobCheckpoint],
    eval_sets: Sequence[EvalSet],
    baselines: Baselines,
    store: RunStore,
    **asking: Any,
) -> list[Judged]:
    found = []
    for number, checkpoint in enumerate(models, 1):
        line = _Line(f"{number} of {len(models)}: {checkpoint.model}")
        target = OpenAITarget(checkpoint.model, base_url=api.base_url, concurrency=asking["limits"].concurrency)
        try:
            recorded = evaluate(target, eval_sets, store=store, baselines=baselines, progress=line.show, **asking)
            found.append(Judged(checkpoint, recorded))
        finally:
            line.wipe()
    return found


def _add(api: FineTuning, job: Job, best: Judged, how: dict[str, Any]) -> Added:
    record = job_store().of_job(job.id, api.base_url) or adopted(api, job_store(), job.id)
    entry = entry_of(job, record, figures(best.checkpoint.metrics), model=best.checkpoint.model)
    backend = open_registry(how["registry"] or DEFAULT)
    return add_candidate(backend, entry, version=how["version"] or "", who=how["who"], now=datetime.now(UTC))


class _Line:
    """How far the asking is, on a terminal's last line."""

    def __init__(self, doing: str) -> None:
        self._doing, self._watched = doing, sys.stderr.isatty()

    def show(self, done: int, planned: int) -> None:
        if self._watched:
            click.echo(f"\r\033[K{self._doing}: {done:,}/{planned:,}", nl=False, err=True)

    def wipe(self) -> None:
        if self._watched:
            click.echo("\r\033[K", nl=False, err=True)
