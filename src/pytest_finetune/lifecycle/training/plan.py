"""A training before it starts: number of examples, hyperparameters, tokens and price."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.evaluation.fine_tune_prices import fine_tune_prices
from pytest_finetune.lifecycle.data.chat_rows import chat_rows
from pytest_finetune.lifecycle.data.raw_rows import LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.tokens import not_counted_in, tokenizer_for
from pytest_finetune.lifecycle.training.hyperparameters import HyperparameterChoice, Suggestion, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from decimal import Decimal
    from pathlib import Path

    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.lifecycle.training.money import TrainingPrices

    Watch = Callable[[Iterable[Any], str], Iterable[Any]]

NO_CHOICE = HyperparameterChoice()


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """
    A planned training.

    Args:
        suggestion: The hyperparameters with their reasons.
        tokens: Tokens of one epoch; None if they could not be counted.
        tokenizer: Name of the tokenizer that counted them; empty if none did.
        exact: The tokenizer is the model's own; otherwise the count is an estimate.
        rate: US dollars per million tokens; None if unknown.
        cost: US dollars for all epochs; None if unknown.
        note: Why a figure is missing; empty if none is.
        not_counted: Number of things whose tokens are not counted, such as images, by name. The cost is then a lower
            bound.
    """

    suggestion: Suggestion
    tokens: int | None
    tokenizer: str
    exact: bool
    rate: Decimal | None
    cost: Decimal | None
    note: str = ""
    not_counted: Mapping[str, int] = field(default_factory=dict)

    @property
    def trained_tokens(self) -> int | None:
        """Tokens of all epochs; None if the tokens or the number of epochs are unknown."""
        epochs = self.suggestion.values.n_epochs
        return None if self.tokens is None or not isinstance(epochs, int) else self.tokens * epochs


def plan_training(
    path: Path,
    model: str,
    prices: TrainingPrices,
    *,
    choice: HyperparameterChoice = NO_CHOICE,
    watched: Watch = lambda rows, _: rows,
) -> TrainingPlan:
    """
    Plan the training of a model on a file.

    Args:
        path: The training file, JSONL in chat format.
        model: The base model; empty if it is not chosen yet, which leaves the price unknown.
        prices: Those of the server.
        choice: Hyperparameters that replace the suggested ones.
        watched: Wraps the rows, to show the progress of a long count.

    Raises:
        DataError: The file cannot be read, or has no examples.
    """
    tokenizer, note = _tokenizer(model)
    left_out = LeftOuts()
    examples = tokens = 0
    left: Counter[str] = Counter()
    for _, row in chat_rows(watched(read_jsonl(path), "counted"), left_out, shape="chat"):
        examples += 1
        tokens += tokenizer.count_row(row) if tokenizer else 0
        left.update(not_counted_in(row))
    if not examples:
        raise left_out.nothing_left(path)
    suggestion = suggest(examples).with_choice(choice)
    plan = TrainingPlan(
        suggestion,
        tokens if tokenizer else None,
        tokenizer.name if tokenizer else "",
        bool(model and tokenizer and tokenizer.exact),
        prices.rate(model) if model else None,
        None,
        note,
        dict(left),
    )
    if not model:
        return replace(plan, note=note or "the price depends on the model; pass --model")
    listed = fine_tune_prices(model)
    cost = prices.cost(model, plan.trained_tokens)
    why = "" if cost is not None else (listed.note if listed else "") or _unknown_price(model, prices)
    return replace(plan, cost=cost, note=note or why)


def _unknown_price(model: str, prices: TrainingPrices) -> str:
    return f"no known price for {model} at {prices.base_url}; give it to finetune_prices: {model} training = USD per 1M"


def _tokenizer(model: str) -> tuple[Tokenizer | None, str]:
    """A tokenizer, or the reason why there is none; a training can be started without one."""
    try:
        return tokenizer_for(model or "gpt-4.1"), ""
    except DataError as error:
        return None, f"tokens not counted: {error.problem} ({error.hint})"
