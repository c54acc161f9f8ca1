"""`pytest-finetune migrate inventory`: which models are in use, and until when."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.migrate.account import read_account
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.options import warned, within_option
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.cli.train.options import base_url_option
from pytest_finetune.lifecycle.migration.inventory import ending, take_inventory
from pytest_finetune.lifecycle.registry import FileBackend
from pytest_finetune.lifecycle.registry.verification import history_problem
from pytest_finetune.reports.migration import inventory_json, inventory_lines

if TYPE_CHECKING:
    from datetime import timedelta

    from pytest_finetune.lifecycle.registry import Backend


@exit_codes(
    "0  success",
    "1  shutdown within --within, unreadable date, or edited registry",
    "2  error",
)
@click.command("inventory")
@click.argument("folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@within_option
@click.option("--ask", is_flag=True, help="Also list the account's fine-tuned models and fine-tuning jobs.")
@click.option("-v", "--verbose", is_flag=True, help="Show every place where a model is named.")
@json_option
@base_url_option
@registry_option
def command(
    backend: Backend,
    folder: Path,
    within: timedelta,
    base_url: str | None,
    *,
    ask: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """List the models in use, and the days that each has left.

    Models are found in the text files of FOLDER, in the registry and, with --ask, in the account: its fine-tuned
    models and the jobs that made them. A model without a known date is listed too.
    """
    now = datetime.now(UTC)
    registry = warned(backend.read(), backend.location)
    account = read_account(base_url, ask=ask)
    found = take_inventory(
        folder=folder,
        registry=registry,
        account=account,
        skip=backend.path if isinstance(backend, FileBackend) else None,
    )
    if as_json:
        print_json([inventory_json(one, now=now) for one in found])
    else:
        print_lines(inventory_lines(found, now=now, every_place=verbose))
    # An edited registry may name other models than those in use.
    sys.exit(1 if ending(found, within=within, now=now) or history_problem(registry) else 0)
