"""Options that the `train` commands share, and how their values are parsed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.cli.runs.options import run_store
from pytest_finetune.evaluation.configured_prices import project_prices
from pytest_finetune.lifecycle.training.job_records import JobStore
from pytest_finetune.lifecycle.training.money import TrainingPrices
from pytest_finetune.lifecycle.training.service import FineTuning

if TYPE_CHECKING:
    from collections.abc import Callable

    F = Callable[..., Any]


def _job_id(context: click.Context, parameter: click.Parameter, text: str) -> str:
    if not text.strip() or not text.isprintable() or "/" in text:
        raise click.BadParameter(f"{text!r} is not a job id", context, parameter)
    return text


def _complete_jobs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Complete the ids of recorded jobs, newest first."""
    try:
        records = job_store().records()
    except FinetuneError:
        # Completion cannot show an error; running the command will.
        return []
    names = dict.fromkeys(record.job_id for record in records if record.job_id)
    return [name for name in names if name.startswith(incomplete)]


job_argument = click.argument("job", callback=_job_id, shell_complete=_complete_jobs)
base_url_option = click.option(
    "--base-url", metavar="URL", help="Server to use.  [default: OPENAI_BASE_URL, else OpenAI]"
)
json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
interval_option = click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    help="Seconds between polls.",
)
give_up_option = click.option(
    "--give-up",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    help="Stop watching if the server has not answered for this many seconds.",
)
no_registry_option = click.option("--no-registry", is_flag=True, help="Do not add the model to a registry.")


def registry_name_option(default: str) -> Callable[[F], F]:
    """`--registry`, with the default that its help shows."""
    text = f"Registry to add the model to.  [default: {default}registry.json]"
    return click.option("--registry", metavar="PATH|mlflow:URI", help=text)


def version_option(default: str) -> Callable[[F], F]:
    """`--version`, with the default that its help shows."""
    text = f"Version name in the registry.  [default: {default}the next of v1, v2, …]"
    return click.option("--version", metavar="NAME", help=text)


def service(base_url: str | None, job: str = "") -> FineTuning:
    """The API of the given server, or of the one that a known job runs on; closed when the command ends."""
    source = ""
    if base_url is None and job:
        base_url = next((record.base_url for record in job_store().records() if record.job_id == job), None)
        source = f"the record of {job}" if base_url else ""
    api = FineTuning(base_url, source=source)
    click.get_current_context().call_on_close(api.close)
    return api


def training_prices(base_url: str) -> TrainingPrices:
    """What training costs on a server, with the prices that the project in the current folder configures."""
    return TrainingPrices(base_url, project_prices(Path.cwd()))


def job_store() -> JobStore:
    """The job records, next to the recorded runs."""
    return JobStore(run_store().root.parent / "jobs")


def _number_or_auto(number: Callable[[str], float], least: float, *, exclusive: bool = False) -> F:
    """A click callback that parses `auto`, or a number of at least `least` (above it, if `exclusive`)."""

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> str | float | None:
        if text is None or text == "auto":
            return text
        try:
            value = number(text)
        except ValueError:
            value = None
        if value is None or not (value > least if exclusive else value >= least) or value == float("inf"):
            kind = "an integer" if number is int else "a number"
            bound = f"above {least:g}" if exclusive else f"of at least {least:g}"
            raise click.BadParameter(f"{text!r} is neither auto nor {kind} {bound}", context, parameter)
        return value

    return read


def read_dollars(context: click.Context, parameter: click.Parameter, text: str | None) -> Decimal | None:
    """Parse a non-negative amount of US dollars."""
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value < 0:
        raise click.BadParameter(f"{text!r} is not an amount of US dollars", context, parameter)
    return value


def hyperparameter_options(command: F) -> F:
    """`--epochs`, `--batch-size` and `--learning-rate-multiplier`, under the API's parameter names."""
    suggested = "[default: by number of examples]"
    for option in (
        click.option(
            "--learning-rate-multiplier",
            metavar="X|auto",
            callback=_number_or_auto(float, 0, exclusive=True),
            help=f"Multiplier of the server's learning rate.  {suggested}",
        ),
        click.option(
            "--batch-size", metavar="N|auto", callback=_number_or_auto(int, 1), help=f"Examples per step.  {suggested}"
        ),
        click.option(
            "--epochs",
            "n_epochs",
            metavar="N|auto",
            callback=_number_or_auto(int, 1),
            help=f"Passes over the training file.  {suggested}",
        ),
    ):
        command = option(command)
    return command
