"""A training before it is begun: how many examples, which hyperparameters, how many tokens, and at what price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.evaluation.fine_tune_prices import fine_tune_prices
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, LeftOuts, read_jsonl
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.lifecycle.training.hyperparameters import Suggestion, suggest
from pytest_finetune.lifecycle.training.money import rate_at, training_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from decimal import Decimal
    from pathlib import Path

    from pytest_finetune.lifecycle.data.tokens import Tokenizer

    Watch = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """
    What a training would be.

    Args:
        suggestion: The hyperparameters with their reasons.
        tokens: Of one pass; None where they could not be counted.
        tokenizer: What counted them; empty where nothing did.
        exact: It is the model's own; otherwise the count is an estimate.
        rate: US dollars for a million tokens; None where it is unknown.
        cost: US dollars for all passes; None where it is unknown.
        note: Why a figure is missing, one clause; empty where none is.
    """

    suggestion: Suggestion
    tokens: int | None
    tokenizer: str
    exact: bool
    rate: Decimal | None
    cost: Decimal | None
    note: str = ""

    @property
    def trained_tokens(self) -> int | None:
        """Tokens of all passes; None where the tokens or the passes are open."""
        epochs = self.suggestion.values.n_epochs
        return None if self.tokens is None or not isinstance(epochs, int) else self.tokens * epochs


def plan_training(
    path: Path, model: str, base_url: str, *, watched: Watch = lambda rows, _: rows, **chosen: Any
) -> TrainingPlan:
    """
    What training a model on a file would be.

    Args:
        path: The training file, JSONL in chat format.
        model: The base model; empty where none is meant yet, which leaves the price open.
        base_url: The server, by which prices go.
        watched: Shows how far a long count is.
        chosen: `n_epochs`, `batch_size` and `learning_rate_multiplier` where a person chose them.

    Raises:
        DataError: The file cannot be read, or holds no example.
    """
    tokenizer, note = _tokenizer(model)
    left_out = LeftOuts()
    examples = tokens = 0
    for row in watched(_examples(path, left_out), "counted"):
        examples += 1
        tokens += tokenizer.count_example(row) if tokenizer else 0
    if not examples:
        raise left_out.nothing_left(path)
    suggestion = suggest(examples).overruled(**chosen)
    plan = TrainingPlan(
        suggestion,
        tokens if tokenizer else None,
        tokenizer.name if tokenizer else "",
        bool(model and tokenizer and tokenizer.exact),
        rate_at(base_url, model) if model else None,
        None,
        note,
    )
    if not model:
        return replace(plan, note=note or "the price goes by the model: name it with --model")
    listed = fine_tune_prices(model)
    cost = training_cost(base_url, model, plan.trained_tokens)
    why = "" if cost is not None else (listed.note if listed else "") or f"no price is known for {model} at {base_url}"
    return replace(plan, cost=cost, note=note or why)


def _examples(path: Path, left_out: LeftOuts) -> Iterator[dict[str, Any]]:
    for each in read_jsonl(path):
        if isinstance(each, LeftOut):
            left_out.add(each)
        elif isinstance(each.value.get("messages"), list):
            yield each.value
        else:
            left_out.add(LeftOut(each.line, "there is no list of messages"))


def _tokenizer(model: str) -> tuple[Tokenizer | None, str]:
    """What counts tokens, or why nothing does: without the extra a training can be started all the same."""
    try:
        return tokenizer_for(model or "gpt-4.1"), ""
    except DataError as error:
        return None, f"tokens are not counted: {error.problem} ({error.hint})"
