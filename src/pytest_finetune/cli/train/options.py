"""What the commands of `train` share: the server, the records of jobs, how the values of options are read."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.cli.runs.options import run_store
from pytest_finetune.lifecycle.training.record import JobStore
from pytest_finetune.lifecycle.training.service import FineTuning

if TYPE_CHECKING:
    from collections.abc import Callable

    F = Callable[..., Any]


def _name(context: click.Context, parameter: click.Parameter, text: str) -> str:
    if not text.strip() or not text.isprintable() or "/" in text:
        raise click.BadParameter(f"{text!r} names no job", context, parameter)
    return text


job_argument = click.argument("job", callback=_name)
base_url_option = click.option(
    "--base-url", metavar="URL", help="The server.  [default: OPENAI_BASE_URL, else OpenAI's own]"
)
json_lines_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
interval_option = click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    help="Seconds between two looks at the job.",
)
give_up_option = click.option(
    "--give-up",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    help="Seconds without an answer after which the server is given up.",
)
registry_name_option = click.option(
    "--registry",
    metavar="PATH|mlflow:URI",
    help="Where the model becomes a candidate.  [default: what `start` was told, else registry.json]",
)
no_registry_option = click.option("--no-registry", is_flag=True, help="Leave the registry alone.")
version_option = click.option(
    "--version", metavar="NAME", help="Its name there.  [default: what `start` was told, else the next of v1, v2, …]"
)


def service(base_url: str | None, job: str = "") -> FineTuning:
    """The server that was named, or that a job is known to run on; it is closed when the command ends."""
    if base_url is None and job:
        base_url = next((record.base_url for record in job_store().records() if record.job_id == job), None)
    made = FineTuning(base_url)
    click.get_current_context().call_on_close(made.close)
    return made


def job_store() -> JobStore:
    """The records beside the runs: in the nearest folder upwards that has any, else here."""
    return JobStore(run_store().root.parent / "jobs")


def number_or_auto(number: Callable[[str], float], least: float, *, above: bool = False) -> F:
    """Reads `auto`, or a number of at least (or above) the least."""

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        if text is None or text == "auto":
            return text
        try:
            value = number(text)
        except ValueError:
            value = None
        if value is None or not (value > least if above else value >= least) or value == float("inf"):
            kind = "a whole number" if number is int else "a number"
            raise click.BadParameter(
                f"{text!r} is not auto or {kind} {'above' if above else 'from'} {least:g}", context, parameter
            )
        return value

    return read


def read_dollars(context: click.Context, parameter: click.Parameter, text: str | None) -> Decimal | None:
    """Reads an amount of US dollars that is not negative."""
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite() or value < 0:
        raise click.BadParameter(f"{text!r} is no amount of US dollars", context, parameter)
    return value


def hyperparameter_options(command: F) -> F:
    """`--epochs`, `--batch-size` and `--learning-rate-multiplier`."""
    suggested = "[default: as `suggest` says]"
    for option in (
        click.option(
            "--learning-rate-multiplier",
            metavar="X|auto",
            callback=number_or_auto(float, 0, above=True),
            help=f"Times the usual rate.  {suggested}",
        ),
        click.option(
            "--batch-size", metavar="N|auto", callback=number_or_auto(int, 1), help=f"Examples a step.  {suggested}"
        ),
        click.option("--epochs", metavar="N|auto", callback=number_or_auto(int, 1), help=f"Passes.  {suggested}"),
    ):
        command = option(command)
    return command


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the hyperparameters out of the options of a command, under the names that the API has for them."""
    names = {"epochs": "n_epochs", "batch_size": "batch_size", "learning_rate_multiplier": "learning_rate_multiplier"}
    return {name: options.pop(option) for option, name in names.items()}
