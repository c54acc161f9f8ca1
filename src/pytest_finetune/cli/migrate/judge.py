"""`pytest-finetune migrate judge`: successors on the same cases, compared with recorded answers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import RunError
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.migrate.account import evaluate_shown
from pytest_finetune.cli.migrate.report import confidence_option, margin_option, monthly_calls_option
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.request_options import concurrency_option, deadline_option, max_cost_option
from pytest_finetune.cli.runs.options import complete_runs, find_run, project_of, runs_dir
from pytest_finetune.cli.train.options import base_url_option
from pytest_finetune.reports.successors import compare_successors, migration_json, migration_lines

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from pytest_finetune.evaluation.runs import Run, RunStore


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """The options of `migrate judge`, named as click names them."""

    old: str
    models: tuple[str, ...]
    margin: float
    confidence: float
    monthly_calls: int | None
    base_url: str | None
    concurrency: int
    deadline: float
    max_cost: Decimal | None
    registry: str
    store: RunStore
    as_json: bool


@exit_codes(
    "0    a successor is not worse on any eval set",
    "1    no successor is shown to be as good",
    "2    error, or an evaluation stopped early",
    "130  interrupted; the same command resumes",
)
@click.command("judge")
@click.argument("old", shell_complete=complete_runs)
@click.argument("models", nargs=-1, required=True)
@margin_option
@confidence_option
@monthly_calls_option
@base_url_option
@concurrency_option
@deadline_option
@max_cost_option
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@runs_dir
@json_option
@as_one(JudgeOptions)
def command(options: JudgeOptions) -> None:
    """Evaluate successors, and compare them with the recorded answers.

    OLD is the run of the model that is shut down. Each case is asked as often as it was. What is on record
    already is not asked again. The comparison is that of `migrate report`.
    """
    old = find_run(options.store, options.old)
    runs = []
    for model in options.models:
        result = evaluate_shown(
            eval_sets_of(old),
            model=model,
            repeats=repeats_of(old),
            base_url=options.base_url,
            max_cost=options.max_cost,
            registry=options.registry,
            concurrency=options.concurrency,
            deadline=options.deadline,
            compared=old.id,
        )
        if result.stopped or result.run is None:
            hint = "the same command resumes; see `pytest-finetune doctor`"
            reason = result.stopped.message if result.stopped else "nothing was recorded"
            raise RunError(f"stopped early: {reason}", model, hint)
        runs.append(result.run)
    now = datetime.now(UTC)
    migration = compare_successors(
        old,
        runs,
        root=project_of(old),
        margin=options.margin,
        confidence=options.confidence,
        monthly_calls=options.monthly_calls,
    )
    if options.as_json:
        print_json(migration_json(migration, now=now))
    else:
        print_lines(migration_lines(migration, now=now))
    sys.exit(0 if migration.ready else 1)


def eval_sets_of(run: Run) -> list[Path]:
    """The files of a run's eval sets."""
    root = project_of(run)
    return [root / plan.name for plan in run.manifest.eval_sets]


def repeats_of(run: Run) -> int | None:
    """How often each case was asked; None if that differs between eval sets, as their settings say then."""
    found = {plan.repeats for plan in run.manifest.eval_sets}
    return found.pop() if len(found) == 1 else None
