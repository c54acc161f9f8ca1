"""`pytest-finetune batch import`: the output of an offline engine as a run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.api.batches import import_batch
from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.output import ProgressLine, json_option
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.request_options import concurrency_option, deadline_option, max_cost_option
from pytest_finetune.cli.results import exit_code, print_result

if TYPE_CHECKING:
    from decimal import Decimal

_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of `batch import`, named as click names them."""

    plan: Path
    outputs: tuple[Path, ...]
    base_url: str | None
    baseline: str
    concurrency: int
    deadline: float
    max_cost: Decimal | None
    registry: str
    as_json: bool


@exit_codes(
    "0    every gate passed",
    "1    a gate failed, or is undecided, such as after a missing answer",
    "2    error, such as answers to another plan",
    "130  interrupted",
)
@click.command("import")
@click.argument("plan", type=_FILE)
@click.argument("outputs", nargs=-1, required=True, type=_FILE, metavar="OUTPUT...")
@click.option("--base-url", metavar="URL", help="Server of the models that scorers ask.  [default: OPENAI_BASE_URL]")
@click.option("--baseline", default="", metavar="RUN", help="Recorded run to compare with.")
@concurrency_option
@deadline_option
@max_cost_option
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@json_option
@as_one(ImportOptions)
def command(options: ImportOptions) -> None:
    """Evaluate what an offline engine answered.

    OUTPUT are the files that it wrote for the requests of PLAN. Scores, gates and record are those of
    `pytest-finetune run`. A request whose line is missing, repeated or not an answer is an error. The eval sets must be
    those of the export.
    """
    line = ProgressLine("import")
    try:
        result = import_batch(
            options.plan,
            options.outputs,
            base_url=options.base_url,
            baseline=options.baseline,
            concurrency=options.concurrency,
            deadline=options.deadline,
            max_cost=options.max_cost,
            registry=options.registry,
            progress=line.show,
        )
    finally:
        line.clear()
    print_result(result, as_json=options.as_json)
    sys.exit(exit_code(result))
