"""`pytest-finetune run`: evaluates a model without pytest."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.api.evaluating import evaluate
from pytest_finetune.base.records import State
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import ProgressLine, json_option, print_json
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.request_options import batch_option, concurrency_option, deadline_option, max_cost_option
from pytest_finetune.cli.results import exit_code, print_result
from pytest_finetune.evaluation.shards import Shard
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    from decimal import Decimal

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
    shard: str
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
@click.option("--shard", default="", metavar="K/N", help="Request only the K-th of N shares; see `runs merge`.")
@json_option
@as_one(RunOptions)
def command(options: RunOptions) -> None:
    """Evaluate a model over EVAL_SETS, without pytest.

    EVAL_SETS are files or folders; by default all eval sets of the project. Requests, scores, gates and record are
    those of `pytest --model=SPEC`. There are no test items, which is faster for large eval sets.

    With --shard, several machines request a share of the cases each. A share has no verdict and exits with 0 once all
    of it is there; `pytest-finetune runs merge` then puts the runs together and judges.
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
            shard=options.shard,
            progress=line.show,
            batch=options.batch,
            notify=line.note,
        )
    finally:
        line.clear()
    if options.shard:
        sys.exit(_shard_outcome(options, result))
    print_result(result, as_json=options.as_json)
    sys.exit(exit_code(result))


def _shard_outcome(options: RunOptions, result: EvaluationResult) -> int:
    """Say how much of the share is there, and return the exit code: 0 if all of it is."""
    shard, run = Shard.parse(options.shard), result.run
    keys = shard.keys(one.eval_set for one in result.sets)
    states = Counter(sample.state for sample in run.samples().values()) if run else Counter()
    there = states.total() - states[State.ERROR]
    whole = there + states[State.ERROR] >= len(keys) and result.stopped is None
    facts = {"shard": str(shard), "run": run.id if run else "", "samples": len(keys), "answered": there}
    if options.as_json:
        stopped = result.stopped.message if result.stopped else ""
        print_json({**facts, "errors": states[State.ERROR], "stopped": stopped, "complete": whole})
        return 0 if whole else 2
    click.echo(f"shard {shard}: {there:,} of {len(keys):,} samples answered, {states[State.ERROR]:,} errors")
    if result.stopped:
        click.echo(f"stopped: {failure_words(result.stopped, redact=False)}")
    also = ", or ask the errors again with --resume" if states[State.ERROR] else ""
    click.echo(
        f"next: merge the runs of all shards with `pytest-finetune runs merge RUN…`{also}"
        if whole
        else "next: continue with the same command and --resume"
    )
    return 0 if whole else 2
