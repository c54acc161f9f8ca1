"""What a training costs, before and after: never zero for what is unknown."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.evaluation.fine_tune_prices import fine_tune_prices
from pytest_finetune.evaluation.pricing import OPENAI_HOST
from pytest_finetune.evaluation.targets.base_url import is_loopback

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.job import Job

_MILLION = Decimal(1_000_000)


def rate_at(base_url: str, model: str) -> Decimal | None:
    """
    US dollars for a million trained tokens of a model on a server.

    On this machine training costs nothing, but for a model of OpenAI's: behind such an address there is a gateway.

    Returns:
        None where the price is unknown.
    """
    listed, host = fine_tune_prices(model), urlsplit(base_url).hostname or ""
    if host == OPENAI_HOST or (listed and is_loopback(base_url)):
        return listed.training if listed else None
    return Decimal(0) if is_loopback(base_url) else None


def training_cost(base_url: str, model: str, trained_tokens: int | None) -> Decimal | None:
    """US dollars for so many tokens, all passes together; None where the price or the count is unknown."""
    rate = rate_at(base_url, model)
    if rate is None or rate == 0:
        return rate
    return None if trained_tokens is None else rate * trained_tokens / _MILLION


def job_cost(base_url: str, job: Job) -> Decimal | None:
    """US dollars that a job has cost; None where that is unknown."""
    return training_cost(base_url, job.model, job.trained_tokens)
