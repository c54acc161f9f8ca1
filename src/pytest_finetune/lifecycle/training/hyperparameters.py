"""Suggested hyperparameters from the number of examples alone, each with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO: Literal["auto"] = "auto"
FEW, MANY = 100, 1000
"""Numbers of examples: below `FEW`, and above `MANY`, other values are suggested than between them."""

Number = int | float | Literal["auto"]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """
    The hyperparameters of a supervised job; `auto` leaves a value to the server.

    Args:
        n_epochs: Passes over the training file, at least 1.
        batch_size: Examples per step, at least 1.
        learning_rate_multiplier: Factor on the server's own learning rate, above 0.
    """

    n_epochs: Number = AUTO
    batch_size: Number = AUTO
    learning_rate_multiplier: Number = AUTO

    def to_dict(self) -> dict[str, Number]:
        """In the form that the API accepts."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class HyperparameterChoice:
    """Hyperparameters that the user chose; None keeps the suggestion."""

    n_epochs: Number | None = None
    batch_size: Number | None = None
    learning_rate_multiplier: Number | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    Hyperparameters for a training file.

    Args:
        examples: Number of examples.
        values: The suggested values.
        reasons: The reason for each value, by its name.
    """

    examples: int
    values: Hyperparameters
    reasons: Mapping[str, str]

    def with_choice(self, choice: HyperparameterChoice) -> Suggestion:
        """The suggestion, with the chosen values in place of the suggested ones."""
        chosen = {name: value for name, value in asdict(choice).items() if value is not None}
        reasons = {**self.reasons, **dict.fromkeys(chosen, "your choice")}
        return replace(self, values=replace(self.values, **chosen), reasons=reasons)


def suggest(examples: int) -> Suggestion:
    """
    Hyperparameters for a number of examples.

    Args:
        examples: At least 1.

    Raises:
        ValueError: There are no examples.
    """
    if examples < 1:
        raise ValueError("cannot suggest hyperparameters without examples")
    if examples < FEW:
        values = Hyperparameters(n_epochs=4, learning_rate_multiplier=0.5)
        count = f"fewer than {FEW} examples"
        epochs = f"{count} give few steps per epoch, so more epochs are needed"
        rate = f"{count} are easily memorised; half the usual rate reduces overfitting"
    elif examples <= MANY:
        values = Hyperparameters(n_epochs=3)
        count = f"{FEW} to {MANY:,} examples"
        epochs = f"3 epochs are usual for {count}"
        rate = f"the server's choice is fine for {count}"
    else:
        values = Hyperparameters(n_epochs=2, learning_rate_multiplier=1.0)
        count = f"more than {MANY:,} examples"
        epochs = f"2 epochs are enough for {count}; a third would cost half as much again"
        rate = f"with {count} outliers average out, so the full rate is safe"
    reasons = {"n_epochs": epochs, "batch_size": "the server chooses it for the file", "learning_rate_multiplier": rate}
    return Suggestion(examples, values, reasons)
