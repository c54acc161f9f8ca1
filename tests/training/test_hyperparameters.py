"""Hyperparameters by the number of examples: the boundaries are exact, and chosen values win."""

from __future__ import annotations

import pytest

from pytest_finetune.lifecycle.training.hyperparameters import HyperparameterChoice, Hyperparameters, suggest


@pytest.mark.parametrize(
    ("examples", "epochs", "multiplier"),
    [
        (1, 4, 0.5),
        (99, 4, 0.5),
        (100, 3, "auto"),
        (1000, 3, "auto"),
        (1001, 2, 1.0),
        (1_000_000, 2, 1.0),
    ],
)
def test_the_boundaries_are_exact(examples, epochs, multiplier):
    assert suggest(examples).values == Hyperparameters(epochs, "auto", multiplier)


@pytest.mark.parametrize("examples", [99, 100, 1001])
def test_every_value_has_its_reason(examples):
    suggestion = suggest(examples)
    assert suggestion.reasons.keys() == suggestion.values.to_dict().keys()
    assert all(suggestion.reasons.values())


def test_a_chosen_value_wins_over_the_suggestion():
    chosen = suggest(50).with_choice(HyperparameterChoice(n_epochs=7))
    assert chosen.values == Hyperparameters(7, "auto", 0.5)
    assert chosen.reasons["n_epochs"] == "your choice"
    assert "half the usual rate" in chosen.reasons["learning_rate_multiplier"]


def test_without_examples_there_is_no_suggestion():
    with pytest.raises(ValueError, match="without examples"):
        suggest(0)
