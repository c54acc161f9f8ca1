"""`pytest-finetune migrate candidates`: models that could replace one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.migrate.account import read_account
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry.options import warned
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.cli.train.options import base_url_option
from pytest_finetune.lifecycle.migration.candidates import find_candidates
from pytest_finetune.lifecycle.migration.inventory import ending, take_inventory
from pytest_finetune.reports.migration import candidates_json, candidates_lines

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.migration.candidates import Candidate
    from pytest_finetune.lifecycle.migration.inventory import Account, UsedModel
    from pytest_finetune.lifecycle.registry import Backend, Registry

MODELS = Path(".finetune", "models")
SOON = timedelta(days=90)


@exit_codes("0  success", "1  no candidate is known", "2  error")
@click.command("candidates")
@click.argument("model")
@click.option("--ask", is_flag=True, help="Also list the models of the account or the server.")
@json_option
@base_url_option
@registry_option
def command(backend: Backend, model: str, base_url: str | None, *, ask: bool, as_json: bool) -> None:
    """List models that could replace one.

    These are the replacement that OpenAI recommends, versions of the registry, weights in .finetune/models, and with
    --ask the fine-tunes of the account, or all models of a server of your own: vLLM, or `pytest-finetune serve`.
    Models that are shut down within 90 days are left out.
    """
    registry = warned(backend.read(), backend.location)
    account = read_account(base_url, ask=ask)
    used = take_inventory(folder=None, registry=registry, account=account)
    found = candidates_for(model, used, registry, account)
    if as_json:
        print_json([candidates_json(one) for one in found])
    else:
        print_lines(candidates_lines(found, model))
    click.get_current_context().exit(0 if found else 1)


def candidates_for(model: str, used: list[UsedModel], registry: Registry, account: Account) -> list[Candidate]:
    """The candidates for a model, without those that are shut down soon."""
    now = datetime.now(UTC)
    return find_candidates(
        model,
        registry=registry,
        account=account,
        ending=[one.model for one in ending(used, within=SOON, now=now)],
        base_model=next((entry.base_model for entry in registry.entries.values() if entry.model_id == model), ""),
        models=MODELS,
    )
