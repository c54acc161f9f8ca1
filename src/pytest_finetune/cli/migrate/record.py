"""`pytest-finetune migrate record`: the answers of a model while it can still be asked."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.migrate.account import evaluate_shown, repeats_option
from pytest_finetune.cli.output import ProgressLine, json_option, print_json
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.request_options import batch_option, concurrency_option, deadline_option, max_cost_option
from pytest_finetune.cli.runs.options import run_store
from pytest_finetune.cli.train.options import base_url_option
from pytest_finetune.lifecycle.importing.foreign import ImportOptions
from pytest_finetune.lifecycle.importing.imported import import_file
from pytest_finetune.lifecycle.importing.recording import record_answers
from pytest_finetune.lifecycle.migration.prompts import as_eval_set
from pytest_finetune.lifecycle.migration.stored import fetch_stored

if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Any

    from pytest_finetune.api.result import EvaluationResult
FOLDER = Path(".finetune", "prompts")


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """The options of `migrate record`, named as click names them."""

    model: str
    eval_sets: tuple[Path, ...]
    prompts: tuple[Path, ...]
    stored: int
    repeats: int
    base_url: str | None
    concurrency: int
    deadline: float
    max_cost: Decimal | None
    registry: str
    batch: bool
    as_json: bool


@exit_codes("0    recorded", "2    error, or a recording stopped early", "130  interrupted; the same command resumes")
@click.command("record")
@click.argument("model")
@click.argument("eval_sets", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--prompts",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of other prompts, asked once each; repeatable.",
)
@click.option(
    "--stored",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Also fetch N of its stored completions.",
)
@repeats_option
@base_url_option
@concurrency_option
@deadline_option
@max_cost_option
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@batch_option
@json_option
@as_one(RecordOptions)
def command(options: RecordOptions) -> None:
    """Record what a model answers, while it can still be asked.

    EVAL_SETS are files or folders; by default all eval sets of the project. Each case is asked several times, which
    shows how much MODEL varies by itself. --prompts takes eval sets, the requests of a batch, or rows with messages,
    a prompt or an input: their answers become training data with `migrate distil`.

    Interrupted, the same command resumes. What is recorded already is not asked again.
    """
    results = [_evaluate(options, options.eval_sets, options.repeats)]
    if not results[0].stopped:
        results += [_evaluate(options, [as_eval_set(path, folder=FOLDER)], 1) for path in options.prompts]
    recorded = [_result(one) for one in results]
    if options.stored and not results[-1].stopped:
        recorded += _stored(options)
    if options.as_json:
        print_json({"model": options.model, "recorded": recorded})
    else:
        for one in recorded:
            place = f" in run {one['run']}" if one["run"] else ""
            click.echo(f"{one['answers']:,} answers to {', '.join(one['eval_sets'])}{place}")
            if one["stopped"]:
                click.echo(f"stopped early: {one['stopped']}; the same command resumes", err=True)
    sys.exit(2 if any(one.stopped for one in results) else 0)


def _evaluate(options: RecordOptions, eval_sets: tuple[Path, ...] | list[Path], repeats: int) -> EvaluationResult:
    return evaluate_shown(
        eval_sets,
        model=options.model,
        repeats=repeats,
        base_url=options.base_url,
        max_cost=options.max_cost,
        registry=options.registry,
        concurrency=options.concurrency,
        deadline=options.deadline,
        batch=options.batch,
    )


def _result(result: EvaluationResult) -> dict[str, Any]:
    return {
        "run": result.run.id if result.run else "",
        "eval_sets": [printable(one.name) for one in result.sets],
        "answers": sum(one.summary.planned - one.summary.counts[State.UNRUN] for one in result.sets),
        "stopped": result.stopped.message if result.stopped else "",
    }


def _stored(options: RecordOptions) -> list[dict[str, Any]]:
    """Fetch stored completions, and import them as an eval set of their own with its run."""
    name = "".join(letter if letter.isalnum() else "-" for letter in options.model)
    line = ProgressLine("stored completions")
    try:
        source = FOLDER / f"{name}.stored.jsonl"
        count = fetch_stored(options.model, source, base_url=options.base_url, limit=options.stored, progress=line.show)
        if not count:
            return []
        imported = import_file(
            source, ImportOptions(), target=FOLDER / f"{name}.jsonl", form="stored-completions", force=True
        )
        runs = list(record_answers(imported, store=run_store(), root=Path.cwd()))
    finally:
        line.clear()
    sets = [printable(str(imported.target))]
    return [{"run": one.run.id, "eval_sets": sets, "answers": imported.cases, "stopped": ""} for one in runs]
