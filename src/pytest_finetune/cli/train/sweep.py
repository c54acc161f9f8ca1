"""`pytest-finetune train sweep`: evaluate every checkpoint of a job and name the best one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import ProgressLine, json_option, print_json, print_lines
from pytest_finetune.cli.registry.options import who_option
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.runs.options import find_run, runs_dir
from pytest_finetune.cli.train.options import (
    base_url_option,
    job_argument,
    job_store,
    read_dollars,
    service,
)
from pytest_finetune.cli.train.watch import record_of
from pytest_finetune.evaluation.baseline import recorded_baselines
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate_target
from pytest_finetune.evaluation.targets import OpenAITarget
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.target_specs import make_asked_target, make_target
from pytest_finetune.lifecycle.training.candidate import add_candidate, entry_of
from pytest_finetune.lifecycle.training.checkpoints import models_of
from pytest_finetune.lifecycle.training.job import finite_numbers
from pytest_finetune.lifecycle.training.sweep import EvaluatedCheckpoint, best_checkpoint
from pytest_finetune.reports.training_sweep import sweep_json, sweep_lines
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from pytest_finetune.evaluation.baseline import Baselines
    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.lifecycle.training.candidate import AddedVersion
    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint, FineTuningJob
    from pytest_finetune.lifecycle.training.service import FineTuning
    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """The options of `train sweep`, named as click names them."""

    job: str
    named: tuple[Path, ...]
    baseline: str | None
    registry: str | None
    version: str | None
    fresh: bool
    concurrency: int
    max_cost: Decimal | None
    who: str
    store: RunStore
    as_json: bool
    base_url: str | None


@exit_codes(
    "0  a checkpoint passes",
    "1  no checkpoint passes",
    "2  none passes and an evaluation stopped early, or error",
)
@click.command("sweep")
@job_argument
@click.option(
    "--eval-sets",
    "named",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Eval sets, or folders of them; repeatable.  [default: all below the current folder]",
)
@click.option("--baseline", metavar="RUN", help="Recorded run to compare with.  [default: production in the registry]")
@click.option("--registry", metavar="PATH|mlflow:URI", help="Add the best checkpoint to this registry.")
@click.option("--version", metavar="NAME", help="Version name in the registry.  [default: the next of v1, v2, …]")
@click.option("--fresh", is_flag=True, help="Send all requests again; do not reuse recorded answers.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=32, show_default=True, help="Maximum concurrent requests."
)
@click.option(
    "--max-cost", metavar="USD", callback=read_dollars, help="Stop evaluating a checkpoint once this much is spent."
)
@who_option
@runs_dir
@json_option
@base_url_option
@as_one(SweepOptions)
def command(options: SweepOptions) -> None:
    """Evaluate every checkpoint of JOB and name the best one.

    The checkpoints are evaluated one after another with the same cases and gates, and each is recorded as a run. The
    best one is the most accurate of those that pass all gates, the earliest on a tie. Recorded answers are reused, so
    repeating the command resumes an interrupted sweep.
    """
    api, root = service(options.base_url, options.job), Path.cwd()
    job = api.job(options.job)
    models = models_of(api, job)
    if not models:
        hint = f"it is {job.status}; wait for its first epoch: pytest-finetune train watch {job.id}"
        raise TrainingError("the job has no checkpoint or model yet", job.id, hint)
    eval_sets = _load(options.named, root)
    evaluated = _evaluate(api, models, eval_sets, options, root)
    best = best_checkpoint(evaluated)
    added = _add(api, job, best, options) if best and (options.registry or options.version) else None
    if options.as_json:
        place = {"version": added.version, "is_new": added.is_new} if added else None
        print_json({"job": options.job, "status": job.status, **sweep_json(evaluated, best), "candidate": place})
    else:
        print_lines(sweep_lines(evaluated, best))
        if added:
            click.echo(f"{added.version}: {'new -> candidate' if added.is_new else 'already in the registry'}")
    sys.exit(0 if best else 2 if any(one.recorded.stopped for one in evaluated) else 1)


def _load(named: Sequence[Path], root: Path) -> list[EvalSet]:
    files = {path: None for each in named or (root,) for path in eval_set_files(each.resolve(), root)}
    return load_project_sets(list(files), root=root)


def _baselines(named: str | None, store: RunStore, eval_sets: Sequence[EvalSet]) -> Baselines:
    """The baselines of the gates: a recorded run, or the answers of production, which the registry keeps."""
    if named:
        return recorded_baselines(f"replay:{named}", find_run(store, named), eval_sets)
    if not any(rule.against for eval_set in eval_sets for rule in eval_set.settings.rules):
        return {}
    from pytest_finetune.lifecycle.registry.production import stored_baselines

    return stored_baselines(eval_sets, open_registry(DEFAULT))


def _evaluate(
    api: FineTuning,
    models: Sequence[FineTuningCheckpoint],
    eval_sets: Sequence[EvalSet],
    options: SweepOptions,
    root: Path,
) -> list[EvaluatedCheckpoint]:
    baselines = _baselines(options.baseline, options.store, eval_sets)
    limits = Limits(concurrency=options.concurrency, max_cost=options.max_cost)
    prices = project_prices(root)
    make = partial(
        make_target,
        concurrency=options.concurrency,
        registry=open_registry(DEFAULT),
        store=options.store,
        models=options.store.root.parent / "models",
    )
    found = []
    for number, checkpoint in enumerate(models, 1):
        line = ProgressLine(f"{number} of {len(models)}: {checkpoint.model}")
        target = OpenAITarget(checkpoint.model, base_url=api.base_url, concurrency=options.concurrency)
        try:
            recorded = evaluate_target(
                target,
                eval_sets,
                limits,
                prices=prices,
                store=options.store,
                root=root,
                baselines=baselines,
                fresh=options.fresh,
                to_the_end=True,
                progress=line.show,
                make_asked=lambda asked, source: make_asked_target(asked, source, base_url=api.base_url, make=make),
            )
            found.append(EvaluatedCheckpoint(checkpoint, recorded))
        finally:
            line.clear()
    return found


def _add(api: FineTuning, job: FineTuningJob, best: EvaluatedCheckpoint, options: SweepOptions) -> AddedVersion:
    prices = project_prices(Path.cwd())
    record = job_store().of_job(job.id, api.base_url) or record_of(api, job_store(), job.id)
    entry = entry_of(job, record, finite_numbers(best.checkpoint.metrics), model=best.checkpoint.model, prices=prices)
    backend = open_registry(options.registry or DEFAULT)
    return add_candidate(backend, entry, version=options.version or "", who=options.who, now=datetime.now(UTC))
