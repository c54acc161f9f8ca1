"""OpenAI's prices for training and for fine-tuned models, as one dated table with its source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = "https://developers.openai.com/api/docs/pricing"
"""OpenAI's price list, section fine-tuning."""

AS_OF = date(2026, 5, 7)
"""Day of the list, the first with the announcement that self-serve fine-tuning ends."""


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for a million tokens; `cached` is None if cached tokens have no rate of their own."""

    prompt: Decimal
    cached: Decimal | None
    completion: Decimal


@dataclass(frozen=True, slots=True)
class FineTunePrices:
    """
    The prices of one base model.

    Args:
        model: The snapshot that is trained.
        training: US dollars for a million tokens of training; None if training is not billed by the token.
        standard: Rates of the fine-tuned model.
        batch: Its rates through the batch API.
        note: How training is billed if not by the token.
    """

    model: str
    training: Decimal | None
    standard: Rates
    batch: Rates
    note: str = ""


def _prices(model: str, training: str, standard: str, batch: str, note: str = "") -> FineTunePrices:
    return FineTunePrices(model, Decimal(training) if training else None, _rates(standard), _rates(batch), note)


def _rates(text: str) -> Rates:
    prompt, cached, completion = text.split()
    return Rates(Decimal(prompt), None if cached == "-" else Decimal(cached), Decimal(completion))


_TABLE = (
    _prices("gpt-4.1-2025-04-14", "25", "3 0.75 12", "1.5 0.5 6"),
    _prices("gpt-4.1-mini-2025-04-14", "5", "0.8 0.2 3.2", "0.4 0.1 1.6"),
    _prices("gpt-4.1-nano-2025-04-14", "1.5", "0.2 0.05 0.8", "0.1 0.025 0.4"),
    _prices("gpt-4o-2024-08-06", "25", "3.75 1.875 15", "2.225 0.9 12.5"),
    _prices("gpt-4o-mini-2024-07-18", "3", "0.3 0.15 1.2", "0.15 0.075 0.6"),
    _prices("gpt-3.5-turbo-0125", "8", "3 - 6", "1.5 - 3"),
    _prices("o4-mini-2025-04-16", "", "4 1 16", "2 0.5 8", "billed by time: $100 for an hour of training"),
)

PRICES: Mapping[str, FineTunePrices] = MappingProxyType({each.model: each for each in _TABLE})
"""By base model."""

_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})\Z", re.ASCII)
_BY_ALIAS = {_DATE.sub("", model): prices for model, prices in PRICES.items()}


def base_of(model: str) -> str:
    """The base model in the id of a fine-tuned model, `ft:gpt-4o-mini-2024-07-18:acme::9Kx2`; any other id itself."""
    return model.split(":")[1] if model.startswith("ft:") else model


def fine_tune_prices(model: str) -> FineTunePrices | None:
    """
    The prices of a base model, or of that of a fine-tuned model; None if the table does not have it.

    Args:
        model: A snapshot, its name without the date, or the id of a fine-tuned model.
    """
    base = base_of(model)
    return PRICES.get(base) or _BY_ALIAS.get(base)
