"""The cost of a training, before and after; None where it is unknown, never zero."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.evaluation.configured_prices import NO_PRICES, ConfiguredPrices
from pytest_finetune.evaluation.fine_tune_prices import fine_tune_prices
from pytest_finetune.evaluation.pricing import OPENAI_HOST
from pytest_finetune.evaluation.targets.base_url import is_loopback

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.job import FineTuningJob

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class TrainingPrices:
    """
    What training costs on one server.

    Args:
        base_url: The server.
        configured: Prices that the project configures; they override OpenAI's list.
    """

    base_url: str
    configured: ConfiguredPrices = NO_PRICES

    def rate(self, model: str) -> Decimal | None:
        """
        US dollars per million trained tokens of a base model; None if the price is unknown.

        Training on this machine is free, except for OpenAI's models: a loopback address is then a gateway to OpenAI.
        """
        given = self.configured.training_rate(model)
        if given is not None:
            return given
        listed, is_local = fine_tune_prices(model), is_loopback(self.base_url)
        if listed and (is_local or urlsplit(self.base_url).hostname == OPENAI_HOST):
            return listed.training
        return Decimal(0) if is_local else None

    def cost(self, model: str, trained_tokens: int | None) -> Decimal | None:
        """US dollars for a number of tokens over all epochs; None if the price or the number is unknown."""
        rate = self.rate(model)
        if rate is None or rate == 0:
            return rate
        return None if trained_tokens is None else rate * trained_tokens / _MILLION

    def job_cost(self, job: FineTuningJob) -> Decimal | None:
        """US dollars that a job has cost; None if unknown."""
        return self.cost(job.model, job.trained_tokens)
