"""`pytest-finetune batch export`: the requests of an evaluation as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.api.batches import export_batch
from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes

if TYPE_CHECKING:
    from pytest_finetune.verdicts.evalset.request_form import Api


@exit_codes("0  written", "2  error; an existing file is not replaced without --force")
@click.command("export")
@click.argument("eval_sets", nargs=-1, type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="ID", help="Name that the engine serves the model under.")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File of requests to write."
)
@click.option("--repeats", type=click.IntRange(min=1), help="Requests per case.  [default: as set in the eval set]")
@click.option("--api", type=click.Choice(["chat", "responses"]), help="API for all requests.  [default: by model]")
@click.option("--force", is_flag=True, help="Replace existing files.")
def command(
    eval_sets: tuple[Path, ...], model: str, output: Path, *, repeats: int | None, api: Api | None, force: bool
) -> None:
    """Write the requests of an evaluation to a file.

    EVAL_SETS are files or folders; by default all eval sets of the project. Each line is a request in the format of
    OpenAI's batch API. The plan is written next to the requests,
    with the suffix .plan.json: `batch import` needs it. vLLM reads the file with run-batch -i.
    """
    existing = [path for path in (output, output.with_suffix(".plan.json")) if path.exists()]
    if existing and not force:
        raise click.UsageError(f"{existing[0]} exists; answers to it could no longer be imported (--force replaces it)")
    exported, plan = export_batch(eval_sets, model=model, output=output, repeats=repeats, api=api)
    for file in exported.files:
        click.echo(f"{file.requests:,} requests: {printable(str(output.with_name(file.name)))}")
    click.echo(f"plan: {printable(str(plan))}")
    click.echo(f"next: pytest-finetune batch import {printable(str(plan))} OUTPUT")
