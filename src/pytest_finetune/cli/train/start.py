"""`pytest-finetune train start`: check the data, show the price, ask for consent, upload, and create one job."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import PriceError, TrainingError
from pytest_finetune.base.text import printable, shorten
from pytest_finetune.cli import INTERRUPTED
from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.eval_sets import eval_set_files
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import print_json, print_lines
from pytest_finetune.cli.registry.options import who_option
from pytest_finetune.cli.train.options import (
    base_url_option,
    hyperparameter_options,
    interval_option,
    job_store,
    no_registry_option,
    read_dollars,
    registry_name_option,
    service,
    training_prices,
    version_option,
)
from pytest_finetune.cli.train.watch import RegistryDestination, watch
from pytest_finetune.lifecycle.training.hyperparameters import HyperparameterChoice
from pytest_finetune.lifecycle.training.job_records import TrainingRequest, read_job_file
from pytest_finetune.lifecycle.training.job_start import ALREADY, FOUND, JobStarter
from pytest_finetune.lifecycle.training.plan import plan_training
from pytest_finetune.lifecycle.training.polling import PollingPolicy
from pytest_finetune.reports.text import dollars, listed_counts
from pytest_finetune.reports.training import data_check_lines, job_json, plan_json, plan_lines

if TYPE_CHECKING:
    from decimal import Decimal

    from pytest_finetune.lifecycle.training.hyperparameters import Number
    from pytest_finetune.lifecycle.training.job_start import StartedJob
    from pytest_finetune.lifecycle.training.money import TrainingPrices
    from pytest_finetune.lifecycle.training.plan import TrainingPlan
    from pytest_finetune.lifecycle.training.service import FineTuning

_HOW = {
    FOUND: "an earlier attempt had already created this job; no second one was created",
    ALREADY: "this training was started before; no new job was created (--again creates another)",
}


@dataclass(frozen=True, slots=True)
class StartOptions:
    """The options of `train start`, named as click names them."""

    training: Path
    validation: Path | None
    model: str
    suffix: str
    seed: int | None
    n_epochs: Number | None
    batch_size: Number | None
    learning_rate_multiplier: Number | None
    evals: tuple[Path, ...]
    no_check: bool
    max_cost: Decimal | None
    yes: bool
    again: bool
    then_watch: bool
    registry: str | None
    version: str | None
    no_registry: bool
    who: str
    interval: float
    as_json: bool
    base_url: str | None


@exit_codes(
    "0    the job was started, now or earlier",
    "1    the data have errors, or with --watch the job failed",
    "2    not started, or unknown; repeat the command to find out",
    "130  interrupted",
)
@click.command("start")
@click.argument("training", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--validation", type=click.Path(dir_okay=False, path_type=Path), help="Validation file.")
@click.option("--model", required=True, help="Base model, preferably a dated snapshot.")
@click.option("--suffix", default="", help="Suffix of the new model's name.")
@click.option("--seed", type=click.IntRange(min=0), help="Random seed.  [default: chosen by the server]")
@hyperparameter_options
@click.option(
    "--eval",
    "evals",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Eval set, or folder of eval sets, that the data must not overlap with; repeatable.",
)
@click.option("--no-check", is_flag=True, help="Skip the data check.")
@click.option("--max-cost", metavar="USD", callback=read_dollars, help="Refuse to start if the estimate exceeds this.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation before spending money.")
@click.option("--again", is_flag=True, help="Create another job even if this training was started before.")
@click.option("--watch", "then_watch", is_flag=True, help="Then follow the job to its end, like `train watch`.")
@registry_name_option("")
@version_option("")
@no_registry_option
@who_option
@interval_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch one object per line.")
@base_url_option
@as_one(StartOptions)
def command(options: StartOptions) -> None:
    """Start fine-tuning a model on TRAINING; safe to repeat.

    First the data are checked; errors prevent the start. Then hyperparameters, tokens and price are shown, and if
    training costs money you are asked to confirm.

    Repeating the command never creates a second job: it first looks for the one that an interrupted attempt may have
    created. The same data, model and settings count as the same training; --again creates, and pays for, another job.
    """
    api = service(options.base_url)
    if not options.no_check:
        _check(options)
    choice = HyperparameterChoice(options.n_epochs, options.batch_size, options.learning_rate_multiplier)
    prices = training_prices(api.base_url)
    plan = plan_training(options.training, options.model, prices, choice=choice, watched=watched)
    if not options.as_json:
        print_lines(plan_lines(plan, model=options.model))
    _confirm(plan, api, options.max_cost, yes=options.yes)
    request = TrainingRequest(
        base_url=api.base_url,
        model=options.model,
        training=read_job_file(options.training),
        validation=read_job_file(options.validation) if options.validation else None,
        hyperparameters=plan.suggestion.values.to_dict(),
        suffix=options.suffix,
        seed=options.seed,
    )
    started = _start_job(api, request, options)
    _print_started(started, plan, prices, options)
    if options.then_watch:
        raise click.exceptions.Exit(_watch(api, started, prices, options))


def _check(options: StartOptions) -> None:
    """Check the data; errors end the command."""
    from pytest_finetune.lifecycle.data.check import check
    from pytest_finetune.lifecycle.data.check_options import CheckOptions
    from pytest_finetune.lifecycle.data.finding import Severity

    validation = options.validation
    eval_sets = [found for path in options.evals for found in eval_set_files(path, Path.cwd())]
    result = check(
        [options.training],
        validation=[validation] if validation else [],
        evals=eval_sets,
        options=CheckOptions(model=options.model),
    )
    words = [str(options.training), *(["--validation", str(validation)] if validation else [])]
    words += [word for path in options.evals for word in ("--eval", str(path))]
    # The model sets the limit of tokens.
    for text, markup in data_check_lines(result, shlex.join([*words, "--model", options.model])):
        click.secho(text, fg=next(iter(markup), None), err=True)
    if result.worst is Severity.ERROR:
        click.echo("not started: fix the data, or pass --no-check", err=True)
        raise click.exceptions.Exit(1)


def _confirm(plan: TrainingPlan, api: FineTuning, limit: Decimal | None, *, yes: bool) -> None:
    """
    Make sure that no money is spent without consent.

    Raises:
        PriceError: The training costs more than --max-cost, or its price is unknown.
        TrainingError: Consent is needed, but stdin or stderr is not a terminal.
    """
    if limit is not None and (plan.cost is None or (plan.cost and plan.not_counted)):
        why = f"{listed_counts(plan.not_counted)} are not counted" if plan.not_counted else plan.note
        raise PriceError("the cost of the training is unknown, so it cannot be limited", "--max-cost", why)
    if limit is not None and plan.cost is not None and plan.cost > limit:
        hint = "raise the limit, or train fewer --epochs or fewer examples"
        raise PriceError(
            f"the training costs about {dollars(plan.cost)}, more than {dollars(limit)}", "--max-cost", hint
        )
    if yes or plan.cost == 0:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise TrainingError("training costs money and stdin is not a terminal", "", "pass --yes to confirm")
    about = "at least" if plan.not_counted else "about"
    cost = "an unknown amount" if plan.cost is None else f"{about} {dollars(plan.cost)}"
    if not click.confirm(f"spend {cost} at {api.base_url}?", err=True):
        click.echo("not started", err=True)
        raise click.exceptions.Exit(2)


def _start_job(api: FineTuning, request: TrainingRequest, options: StartOptions) -> StartedJob:
    starter = JobStarter(api, job_store(), notify=_print_message, progress=_show_upload)
    registry, version = options.registry or "", options.version or ""
    try:
        return starter.start(request, registry=registry, version=version, again=options.again)
    except KeyboardInterrupt:
        click.echo(
            "interrupted; a job may have been created. Repeat the command: it looks for that job before creating one",
            err=True,
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        _show_upload(0, 0)


def _watch(api: FineTuning, started: StartedJob, prices: TrainingPrices, options: StartOptions) -> int:
    destination = RegistryDestination(
        options.registry or "", options.version or "", options.who, is_wanted=not options.no_registry
    )
    polling = PollingPolicy(options.interval)
    return watch(api, job_store(), started.record, destination, polling, prices=prices, as_json=options.as_json)


def _print_message(text: str) -> None:
    _show_upload(0, 0)
    click.echo(printable(text), err=True)


def _show_upload(done: int, size: int) -> None:
    """Show upload progress on a terminal; a size of 0 clears the line."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{f'uploading {done / size:.0%}' if size else ''}", nl=False, err=True)


def _print_started(started: StartedJob, plan: TrainingPlan, prices: TrainingPrices, options: StartOptions) -> None:
    report = {
        "job": job_json(started.job, prices),
        "how": started.how,
        "nonce": started.record.nonce,
        "cancelled": list(started.cancelled),
        "plan": plan_json(plan),
    }
    if options.as_json and options.then_watch:
        click.echo(json.dumps({"type": "started", **report}))
    elif options.as_json:
        print_json(report)
    else:
        click.secho(f"job {shorten(started.job.id)}: {shorten(started.job.status, 40)}", bold=True)
        if started.how in _HOW:
            click.echo(_HOW[started.how])
        if not options.then_watch:
            click.echo(f"to follow it: pytest-finetune train watch {shorten(started.job.id)}")
