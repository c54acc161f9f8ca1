"""`pytest-finetune run`: evaluates a model without pytest."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.api.evaluating import evaluate
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import ProgressLine, json_option, print_json, print_lines
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.request_options import batch_option, concurrency_option, deadline_option, max_cost_option
from pytest_finetune.evaluation.record import totals_of
from pytest_finetune.evaluation.results import verdict_record
from pytest_finetune.reports.terminal import Layout, summary_lines

if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Any

    from pytest_finetune.api.result import EvaluationResult
    from pytest_finetune.verdicts.evalset.request_form import Api


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of `run`, named as click names them."""

    eval_sets: tuple[Path, ...]
    model: str
    base_url: str | None
    baseline: str
    repeats: int | None
    api: Api | None
    concurrency: int
    deadline: float
    max_cost: Decimal | None
    registry: str
    resume: bool
    batch: bool
    as_json: bool


@exit_codes(
    "0    every gate passed",
    "1    a gate failed, or is undecided",
    "2    error, or the run stopped early",
    "130  interrupted; --resume continues the run",
)
@click.command("run")
@click.argument("eval_sets", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="SPEC", help="ft:… or any model id, registry:VERSION, local:NAME.")
@click.option("--base-url", metavar="URL", help="Server to use.  [default: OPENAI_BASE_URL, else OpenAI]")
@click.option("--baseline", default="", metavar="RUN", help="Recorded run to compare with.")
@click.option("--repeats", type=click.IntRange(min=1), help="Requests per case.  [default: as set in the eval set]")
@click.option("--api", type=click.Choice(["chat", "responses"]), help="API for all requests.  [default: by model]")
@concurrency_option
@deadline_option
@max_cost_option
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@click.option("--resume", is_flag=True, help="Resume the latest unfinished run; only missing samples are requested.")
@batch_option
@json_option
@as_one(RunOptions)
def command(options: RunOptions) -> None:
    """Evaluate a model over EVAL_SETS, without pytest.

    EVAL_SETS are files or folders; by default all eval sets of the project. Requests, scores, gates and record are
    those of `pytest --model=SPEC`. There are no test items, which is faster for large eval sets.
    """
    line = ProgressLine(options.model)
    try:
        result = evaluate(
            options.eval_sets,
            model=options.model,
            base_url=options.base_url,
            baseline=options.baseline,
            repeats=options.repeats,
            api=options.api,
            concurrency=options.concurrency,
            deadline=options.deadline,
            max_cost=options.max_cost,
            registry=options.registry,
            resume=options.resume,
            progress=line.show,
            batch=options.batch,
            notify=line.note,
        )
    finally:
        line.clear()
    if options.as_json:
        print_json(_result_json(result))
    else:
        print_lines(summary_lines([result.reported], Layout(width=shutil.get_terminal_size().columns)))
    sys.exit(2 if result.stopped else 0 if result.passed else 1)


def _result_json(result: EvaluationResult) -> dict[str, Any]:
    manifest = result.run.manifest if result.run else None
    verdicts = manifest.verdicts if manifest else tuple(map(verdict_record, result.verdicts))
    totals = manifest.totals if manifest else totals_of(result.sets, ())
    return {
        "model": result.model,
        "passed": result.passed,
        "outcome": result.outcome.words,
        "reasons": result.outcome.reasons,
        "run": result.run.id if result.run else "",
        "closed": manifest is not None and manifest.closed,
        "stopped": result.stopped.message if result.stopped else "",
        "verdicts": [verdict.model_dump(mode="json") for verdict in verdicts],
        "totals": totals.model_dump(mode="json"),
        "warnings": list(manifest.warnings if manifest else result.reported.warnings),
    }
