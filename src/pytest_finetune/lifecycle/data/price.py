"""Estimates what a fine-tuned model costs: training, one evaluation, a month of traffic."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Usage
from pytest_finetune.evaluation.configured_prices import NO_PRICES, ConfiguredPrices
from pytest_finetune.evaluation.fine_tune_prices import base_of, fine_tune_prices
from pytest_finetune.evaluation.pricing import price

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.lifecycle.data.traffic import Traffic, TrainingTokens

EPOCHS_SOURCE = "https://github.com/openai/openai-cookbook/blob/main/examples/Chat_finetuning_data_prep.ipynb"
"""Source of the default number of epochs."""

_USUAL_EPOCHS, _MOST_EPOCHS = 3, 25
_FEW_EXAMPLES, _MANY_EXAMPLES = 100, 25_000
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class CallCost:
    """
    The cost of some calls in US dollars; None if a price is unknown.

    Args:
        traffic: The calls.
        standard: Cost at the standard price.
        batch: Cost through the batch API.
        untuned: Cost at the standard price of the base model.
    """

    traffic: Traffic
    standard: Decimal | None
    batch: Decimal | None
    untuned: Decimal | None


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """
    The costs of one model.

    Args:
        model: The model as it was named.
        answers_as: Model whose answers are priced: the fine-tuned version of `model`, or `model` itself if no
            fine-tuned version has a price.
        tokenizer: Encoding that counted the tokens.
        exact: Whether it is the model's own tokenizer; otherwise all counts are estimates.
        training: Tokens of one epoch; None without a training file.
        epochs: Passes over the training file.
        training_rate: US dollars per million training tokens; None if unknown.
        training_cost: US dollars; None if unknown.
        note: How training is billed, if not per token.
        evaluations: Cost of one evaluation of each eval set, repeats included, by name.
        month: Cost of a month of calls; None if their number is not given.
        configured: Whether the project configures any of its prices.
    """

    model: str
    answers_as: str
    tokenizer: str
    exact: bool
    training: TrainingTokens | None
    epochs: int
    training_rate: Decimal | None
    training_cost: Decimal | None
    note: str
    evaluations: Mapping[str, CallCost]
    month: CallCost | None
    configured: bool = False


def usual_epochs(examples: int) -> int:
    """
    The default number of epochs: 3, more for small files, fewer for large ones.

    Source: `EPOCHS_SOURCE`.
    """
    if 0 < examples * _USUAL_EPOCHS < _FEW_EXAMPLES:
        return min(_MOST_EPOCHS, _FEW_EXAMPLES // examples)
    if examples * _USUAL_EPOCHS > _MANY_EXAMPLES:
        return max(1, _MANY_EXAMPLES // examples)
    return _USUAL_EPOCHS


def price_model(
    model: str,
    tokenizer: Tokenizer,
    *,
    training: TrainingTokens | None,
    epochs: int | None,
    evaluations: Mapping[str, Traffic],
    month: Traffic | None,
    when: datetime,
    configured: ConfiguredPrices = NO_PRICES,
) -> ModelPrice:
    """
    The costs of one model.

    Args:
        model: A base model, or a fine-tuned model to train further; `local:…` costs nothing.
        tokenizer: Tokenizer that counted the tokens.
        training: Tokens of one epoch.
        epochs: Passes over the training file; None uses `usual_epochs`.
        evaluations: The calls of one evaluation, by eval set.
        month: The calls of a month.
        when: Time at which prices apply.
        configured: Prices that the project configures; they override the price lists.
    """
    free, table, given = model.startswith("local:"), fine_tune_prices(model), configured.training_rate(model)
    answers_as = f"ft:{table.model}" if table and not model.startswith("ft:") else model
    epochs = epochs or usual_epochs(training.examples if training else 0)
    rate = Decimal(0) if free else given if given is not None else table.training if table else None

    priced = partial(price, when=when, free=free, configured=configured)

    def cost(traffic: Traffic) -> CallCost:
        return _call_cost(traffic, answers_as, priced)

    return ModelPrice(
        model=model,
        answers_as=answers_as,
        tokenizer=tokenizer.name,
        exact=tokenizer.exact,
        training=training,
        epochs=epochs,
        training_rate=rate,
        training_cost=None if rate is None or training is None else training.tokens * epochs * rate / _MILLION,
        note=table.note if table else "",
        evaluations={name: cost(traffic) for name, traffic in evaluations.items()},
        month=cost(month) if month else None,
        configured=not free and (given is not None or configured.has(answers_as)),
    )


def _call_cost(traffic: Traffic, answers_as: str, priced: Callable[..., Decimal | None]) -> CallCost:
    def total(answered_by: str, *, batch: bool = False) -> Decimal | None:
        return _total(lambda usage: priced(answered_by, usage, batch=batch), traffic)

    return CallCost(traffic, total(answers_as), total(answers_as, batch=True), total(base_of(answers_as)))


def _total(price_of: Callable[[Usage], Decimal | None], traffic: Traffic) -> Decimal | None:
    """Return the cost at the rates for a prompt of average length: some vendors charge more for long prompts."""
    average = -(-traffic.prompt // max(1, traffic.calls)) or 1
    prompt = price_of(Usage(prompt=average))
    both = price_of(Usage(prompt=average, completion=1))
    if prompt is None or both is None:
        return None
    return prompt * traffic.prompt / average + (both - prompt) * traffic.completion
