"""`pytest-finetune train start`: data checked, price told, consent asked, files sent, and one job made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import PriceError, TrainingError
from pytest_finetune.base.text import printable, shorten
from pytest_finetune.cli import INTERRUPTED
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.cli.registry.options import who_option
from pytest_finetune.cli.train.options import (
    base_url_option,
    chosen,
    hyperparameter_options,
    interval_option,
    job_store,
    no_registry_option,
    read_dollars,
    registry_name_option,
    service,
    version_option,
)
from pytest_finetune.cli.train.watch import Destination, watch
from pytest_finetune.lifecycle.training.plan import plan_training
from pytest_finetune.lifecycle.training.record import Wanted, file_record
from pytest_finetune.lifecycle.training.starting import ALREADY, FOUND, Starter
from pytest_finetune.lifecycle.training.watching import Patience
from pytest_finetune.reports.text import dollars
from pytest_finetune.reports.training import check_lines, job_json, plan_json, plan_lines

if TYPE_CHECKING:
    from decimal import Decimal

    from pytest_finetune.lifecycle.training.plan import TrainingPlan
    from pytest_finetune.lifecycle.training.service import FineTuning
    from pytest_finetune.lifecycle.training.starting import Started

_HOW = {
    FOUND: "the job of an earlier try, found by its nonce: nothing was made twice",
    ALREADY: "this very training was started before: nothing new is made (--again makes another job)",
}


@click.command("start")
@click.argument("training", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--validation", type=click.Path(dir_okay=False, path_type=Path), help="Data for the validation loss.")
@click.option("--model", required=True, help="The base model, as a dated snapshot where there is one.")
@click.option("--suffix", default="", help="Part of the new model's name.")
@click.option("--seed", type=click.IntRange(min=0), help="For the server's draw.  [default: its own]")
@hyperparameter_options
@click.option(
    "--eval",
    "evals",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Eval set that no example may come from, or a folder of some; repeatable.",
)
@click.option("--no-check", is_flag=True, help="Do not look the data through.")
@click.option("--max-cost", metavar="USD", callback=read_dollars, help="Start only what costs no more than this.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before money is spent.")
@click.option("--again", is_flag=True, help="Make another job though this very training was started before.")
@click.option("--watch", "then_watch", is_flag=True, help="Follow the job to its end, as `train watch` does.")
@registry_name_option
@version_option
@no_registry_option
@who_option
@interval_option
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text; with --watch one object a line.")
@base_url_option
def command(training: Path, *, base_url: str | None, validation: Path | None, as_json: bool, **how: Any) -> None:
    """Start fine-tuning a model on TRAINING, once.

    The data are checked (errors refuse), tokens, price and hyperparameters shown, and where money is spent a person
    at a terminal is asked.

    However often it breaks off, the same command makes one job: it first looks for the job of
    the try before. The same data, model and settings are the same training; --again pays for another.

    \b
    Exit codes:
      0    started, or started before
      1    the data have errors; with --watch: the job failed
      2    not started, or nobody knows whether it was: the same command finds out
      130  interrupted
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    api = service(base_url)
    if not how["no_check"]:
        _check(training, validation, how["evals"], how["model"])
    plan = plan_training(training, how["model"], api.base_url, watched=watched, **chosen(how))
    if not as_json:
        print_lines(plan_lines(plan, model=how["model"]))
    _agree(plan, api, how["max_cost"], yes=how["yes"])
    wanted = Wanted(
        base_url=api.base_url,
        model=how["model"],
        training=file_record(training),
        validation=file_record(validation) if validation else None,
        hyperparameters=plan.suggestion.values.to_dict(),
        suffix=how["suffix"],
        seed=how["seed"],
    )
    started = _start(api, wanted, how)
    _tell(started, plan, api, as_json=as_json, then_watch=how["then_watch"])
    if how["then_watch"]:
        destination = Destination(how["registry"] or "", how["version"] or "", how["who"], not how["no_registry"])
        code = watch(api, job_store(), started.record, destination, Patience(how["interval"]), as_json=as_json)
        raise click.exceptions.Exit(code)


def _check(training: Path, validation: Path | None, evals: tuple[Path, ...], model: str) -> None:
    """Look the data through; errors end the command."""
    from pytest_finetune.lifecycle.data.check import CheckOptions, check
    from pytest_finetune.lifecycle.data.finding import Severity

    asked = [found for path in evals for found in eval_set_files(path, Path.cwd())]
    result = check(
        [training], validation=[validation] if validation else [], evals=asked, options=CheckOptions(model=model)
    )
    files = [
        str(training),
        *(f"--validation {validation}" for _ in [0] if validation),
        *(f"--eval {one}" for one in evals),
    ]
    lines = list(check_lines(result, files))
    for text, markup in lines:
        click.secho(text, fg=next(iter(markup), None), err=True)
    if result.worst is Severity.ERROR:
        click.echo("not started: mend the data, or say --no-check", err=True)
        raise click.exceptions.Exit(1)


def _agree(plan: TrainingPlan, api: FineTuning, most: Decimal | None, *, yes: bool) -> None:
    """
    No money is spent that nobody agreed to.

    Raises:
        PriceError: It costs more than --max-cost, or nobody knows what it costs.
        TrainingError: Nobody is there to agree.
    """
    if most is not None and plan.cost is None:
        raise PriceError("what the training costs is not known, so a bound cannot be kept", "--max-cost", plan.note)
    if most is not None and plan.cost is not None and plan.cost > most:
        hint = "raise the bound, train fewer --epochs, or on fewer examples"
        raise PriceError(
            f"the training costs about {dollars(plan.cost)}, more than {dollars(most)}", "--max-cost", hint
        )
    if yes or plan.cost == 0:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise TrainingError("it costs money, and nobody is at a terminal to agree", "", "agree beforehand with --yes")
    cost = "an unknown amount" if plan.cost is None else f"about {dollars(plan.cost)}"
    if not click.confirm(f"spend {cost} at {api.base_url}?", err=True):
        click.echo("not started", err=True)
        raise click.exceptions.Exit(2)


def _start(api: FineTuning, wanted: Wanted, how: dict[str, Any]) -> Started:
    starter = Starter(api, job_store(), tell=_say, progress=_sent)
    try:
        return starter.start(wanted, registry=how["registry"] or "", version=how["version"] or "", again=how["again"])
    except KeyboardInterrupt:
        click.echo(
            "interrupted; the same command looks for a job that may have been made before it makes one", err=True
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        _sent(0, 0)


def _say(text: str) -> None:
    _sent(0, 0)
    click.echo(printable(text), err=True)


def _sent(done: int, size: int) -> None:
    """How much of a file is on its way, on a terminal; wiped where nothing is."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{f'uploading {done / size:.0%}' if size else ''}", nl=False, err=True)


def _tell(started: Started, plan: TrainingPlan, api: FineTuning, *, as_json: bool, then_watch: bool) -> None:
    told = {
        "job": job_json(started.job, api.base_url),
        "how": started.how,
        "nonce": started.record.nonce,
        "cancelled": list(started.cancelled),
        "plan": plan_json(plan),
    }
    if as_json and then_watch:
        import json

        click.echo(json.dumps({"type": "started", **told}))
    elif as_json:
        print_json(told)
    else:
        click.secho(f"job {shorten(started.job.id)}: {shorten(started.job.status, 40)}", bold=True)
        if started.how in _HOW:
            click.echo(_HOW[started.how])
        if not then_watch:
            click.echo(f"follow it: pytest-finetune train watch {shorten(started.job.id)}")
