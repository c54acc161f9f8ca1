"""`pytest-finetune train suggest`: hyperparameters for a training file with their reasons, token count and price."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli.data.progress import watched
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.train.options import base_url_option, hyperparameter_options, training_prices
from pytest_finetune.evaluation.targets.base_url import check_base_url
from pytest_finetune.evaluation.targets.official_client import DEFAULT_BASE_URL
from pytest_finetune.lifecycle.training.hyperparameters import HyperparameterChoice
from pytest_finetune.lifecycle.training.plan import plan_training
from pytest_finetune.reports.training import plan_json, plan_lines

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.hyperparameters import Number


@exit_codes("0  success", "2  error")
@click.command("suggest")
@click.argument("training", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", default="", help="Base model; sets tokenizer and price.")
@hyperparameter_options
@base_url_option
@json_option
def command(
    training: Path,
    *,
    model: str,
    base_url: str | None,
    as_json: bool,
    n_epochs: Number | None,
    batch_size: Number | None,
    learning_rate_multiplier: Number | None,
) -> None:
    """Suggest hyperparameters for TRAINING.

    Fewer than 100 examples: 4 epochs, learning-rate multiplier 0.5. 100 to 1,000: 3 epochs; the server chooses the
    rest. More than 1,000: 2 epochs, multiplier 1.0. No request is sent; --base-url only selects the price list.
    """
    address = check_base_url(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    choice = HyperparameterChoice(n_epochs, batch_size, learning_rate_multiplier)
    plan = plan_training(training, model, training_prices(address), choice=choice, watched=watched)
    if as_json:
        print_json(plan_json(plan))
    else:
        print_lines(plan_lines(plan, model=model))
