"""How long and how fast to train, from the number of examples alone, each value with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO: Literal["auto"] = "auto"
FEW, MANY = 100, 1000
"""Fewer than `FEW` examples are few, more than `MANY` are many."""

Number = int | float | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """
    What a supervised job is trained with; `auto` leaves a value to the server.

    Args:
        n_epochs: Passes over the training file, at least 1.
        batch_size: Examples a step, at least 1.
        learning_rate_multiplier: Times the server's own learning rate, above 0.
    """

    n_epochs: Number = AUTO
    batch_size: Number = AUTO
    learning_rate_multiplier: Number = AUTO

    def to_dict(self) -> dict[str, Number]:
        """As the API takes them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    Hyperparameters for a training file.

    Args:
        examples: How many there are.
        values: What is suggested.
        reasons: Why, a sentence for each value, by its name.
    """

    examples: int
    values: Hyperparameters
    reasons: Mapping[str, str]

    def overruled(self, **chosen: Number | None) -> Suggestion:
        """The suggestion with what a person chose in its place; None keeps what is suggested."""
        told = {name: value for name, value in chosen.items() if value is not None}
        reasons = {**self.reasons, **dict.fromkeys(told, "as you said")}
        return replace(self, values=replace(self.values, **told), reasons=reasons)


def suggest(examples: int) -> Suggestion:
    """
    Hyperparameters for a number of examples.

    Args:
        examples: At least 1.

    Raises:
        ValueError: There is none.
    """
    if examples < 1:
        raise ValueError("nothing can be suggested for no example")
    if examples < FEW:
        values = Hyperparameters(n_epochs=4, learning_rate_multiplier=0.5)
        count = f"fewer than {FEW} examples"
        epochs = f"{count} give few steps a pass: 4 passes let the model see enough of them"
        rate = f"{count} are soon known by heart: half the usual rate keeps the model from it"
    elif examples <= MANY:
        values = Hyperparameters(n_epochs=3)
        count = f"{FEW} to {MANY:,} examples"
        epochs = f"{count} are what 3 passes are usual for"
        rate = f"{count} need nothing out of the ordinary: the server chooses"
    else:
        values = Hyperparameters(n_epochs=2, learning_rate_multiplier=1.0)
        count = f"more than {MANY:,} examples"
        epochs = f"{count} say the same often enough in 2 passes; a third costs half as much again"
        rate = f"{count} average out what is odd in one: the full rate is safe"
    reasons = {"n_epochs": epochs, "batch_size": "the server fits it to the file", "learning_rate_multiplier": rate}
    return Suggestion(examples, values, reasons)
