"""`pytest-finetune migrate report`: the page that decides on a successor."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.text import printable
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.runs.options import complete_runs, find_run, project_of, runs_dir
from pytest_finetune.lifecycle.data.writing import new_files
from pytest_finetune.reports.successors import (
    compare_successors,
    migration_json,
    migration_lines,
    migration_markdown,
)

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import RunStore


margin_option = click.option(
    "--margin",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.02,
    show_default=True,
    help="Largest acceptable drop in accuracy.",
)
confidence_option = click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    help="Confidence level of the interval of the drop.",
)
monthly_calls_option = click.option(
    "--monthly-calls", type=click.IntRange(min=1), help="Also print the cost of this many requests."
)


@exit_codes("0  a successor is not worse on any eval set", "1  no successor is shown to be as good", "2  error")
@click.command("report")
@click.argument("old", shell_complete=complete_runs)
@click.argument("successors", nargs=-1, required=True, shell_complete=complete_runs)
@margin_option
@confidence_option
@monthly_calls_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write Markdown to this file.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@json_option
@runs_dir
def command(
    store: RunStore,
    old: str,
    successors: tuple[str, ...],
    *,
    margin: float,
    confidence: float,
    monthly_calls: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Compare recorded runs: what replaces the model, at what cost.

    OLD is a run of that model, SUCCESSORS are runs of others. Accuracy, format, latency and cost are shown side
    by side for each eval set of OLD. A successor is not worse if the whole confidence interval of
    its drop in accuracy, paired by case, is within --margin.
    """
    before, now = find_run(store, old), datetime.now(UTC)
    migration = compare_successors(
        before,
        [find_run(store, name) for name in successors],
        root=project_of(before),
        margin=margin,
        confidence=confidence,
        monthly_calls=monthly_calls,
    )
    if output:
        with new_files([output], force=force) as (file,):
            file.write(migration_markdown(migration, now=now).encode())
        click.echo(f"wrote {printable(str(output))}", err=as_json)
    if as_json:
        print_json(migration_json(migration, now=now))
    elif not output:
        print_lines(migration_lines(migration, now=now))
    sys.exit(0 if migration.ready else 1)
