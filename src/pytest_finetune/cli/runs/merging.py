"""`pytest-finetune runs merge`: the runs of all shards as one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pytest_finetune.api.merging import merge
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.results import exit_code, print_result
from pytest_finetune.cli.runs.options import complete_runs, find_run, runs_dir

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs import RunStore


@exit_codes("0  every gate passed", "1  a gate failed, or is undecided", "2  error; nothing was merged")
@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--baseline", default="", metavar="RUN", help="Recorded run to compare with.")
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@json_option
@runs_dir
def command(store: RunStore, runs: tuple[str, ...], *, baseline: str, registry: str, as_json: bool) -> None:
    """Put the runs of all shards together, and judge.

    RUNS are ids or folders, in any order, such as those that the jobs of a CI matrix kept as artifacts. The verdict is
    that of a single run. Runs of another model, eval set or settings are refused, and so are missing shards and two
    different answers to one case. Merging the same runs again changes nothing.
    """
    root = store.root.resolve().parent.parent
    found = [find_run(store, name) for name in dict.fromkeys(runs)]
    result, was_there = merge(found, store=store, root=root, baseline=baseline, registry=registry)
    if was_there and result.run:
        click.echo(f"merged already: {result.run.id}", err=True)
    print_result(result, as_json=as_json)
    sys.exit(exit_code(result))
