"""What the steps of a migration share: their options, the account, and an evaluation with its progress."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finetune.api.evaluating import evaluate
from pytest_finetune.base.errors import TrainingError
from pytest_finetune.cli.output import ProgressLine
from pytest_finetune.cli.train.options import service
from pytest_finetune.evaluation.targets.openai import DEFAULT_BASE_URL
from pytest_finetune.lifecycle.migration.inventory import Account
from pytest_finetune.lifecycle.registry import production_of, read_checked
from pytest_finetune.lifecycle.registry.production import registry_of
from pytest_finetune.lifecycle.registry.sunset import ask_shutdown_dates, is_azure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from pytest_finetune.api.result import EvaluationResult
    from pytest_finetune.lifecycle.registry import Backend
    from pytest_finetune.lifecycle.training.job import FineTuningJob

repeats_option = click.option(
    "--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Requests per case of the eval sets."
)


@dataclass(frozen=True, slots=True)
class GuideOptions:
    """The options of `migrate` without a subcommand, named as click names them."""

    backend: Backend
    model: str
    successors: tuple[str, ...]
    repeats: int
    margin: float
    confidence: float
    monthly_calls: int | None
    max_cost: Decimal | None
    base_url: str | None
    output: Path | None
    ask: bool
    yes: bool
    force: bool
    as_json: bool


def read_account(base_url: str | None, *, ask: bool) -> Account:
    """The account of a server; without `ask` only whose it is."""
    url = base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
    on_azure = is_azure(url)
    if not ask:
        return Account(on_azure=on_azure)
    own = not on_azure and not url.startswith(DEFAULT_BASE_URL)
    return Account(ask_shutdown_dates(base_url), _jobs(base_url, required=not own), on_azure, own)


def _jobs(base_url: str | None, *, required: bool) -> tuple[FineTuningJob, ...]:
    """The fine-tuning jobs; none of a server that does not train, such as vLLM, unless they are required."""
    try:
        return tuple(service(base_url).jobs())
    except TrainingError as error:
        if required or "HTTP 404" not in str(error):
            raise
        return ()


def evaluate_shown(
    eval_sets: Sequence[Path],
    *,
    model: str,
    repeats: int | None,
    base_url: str | None,
    max_cost: Decimal | None,
    registry: str,
    concurrency: int = 32,
    deadline: float = 120.0,
    compared: str = "",
    batch: bool = False,
) -> EvaluationResult:
    """
    Evaluate a model, or resume an earlier evaluation, with the progress on the terminal.

    As long as the registry has no production, gates against it compare with the run `compared`.
    """
    line = ProgressLine(model)
    production = production_of(read_checked(registry_of(registry, Path.cwd())))
    try:
        return evaluate(
            eval_sets,
            model=model,
            base_url=base_url,
            baseline="" if production else compared,
            repeats=repeats,
            concurrency=concurrency,
            deadline=deadline,
            max_cost=max_cost,
            registry=registry,
            resume=True,
            to_the_end=True,
            progress=line.show,
            batch=batch,
            notify=line.note,
        )
    finally:
        line.clear()
