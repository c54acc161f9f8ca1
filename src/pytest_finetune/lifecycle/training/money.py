"""The cost of a training, before and after; None where it is unknown, never zero."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.evaluation.fine_tune_prices import fine_tune_prices
from pytest_finetune.evaluation.pricing import OPENAI_HOST
from pytest_finetune.evaluation.targets.base_url import is_loopback

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.job import FineTuningJob

_MILLION = Decimal(1_000_000)


def rate_at(base_url: str, model: str) -> Decimal | None:
    """
    US dollars per million trained tokens of a model on a server; None if the price is unknown.

    Training on this machine is free. A model of OpenAI's at a loopback address is not: it is behind a gateway.
    """
    listed, host = fine_tune_prices(model), urlsplit(base_url).hostname or ""
    if host == OPENAI_HOST or (listed and is_loopback(base_url)):
        return listed.training if listed else None
    return Decimal(0) if is_loopback(base_url) else None


def training_cost(base_url: str, model: str, trained_tokens: int | None) -> Decimal | None:
    """US dollars for a number of tokens over all epochs; None if the price or the number is unknown."""
    rate = rate_at(base_url, model)
    if rate is None or rate == 0:
        return rate
    return None if trained_tokens is None else rate * trained_tokens / _MILLION


def job_cost(base_url: str, job: FineTuningJob) -> Decimal | None:
    """US dollars that a job has cost; None if unknown."""
    return training_cost(base_url, job.model, job.trained_tokens)
