"""Plans of a training: examples, suggested hyperparameters, tokens and price, or why they are unknown."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from click.testing import CliRunner

from pytest_finetune.base.errors import DataError
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.training.hyperparameters import HyperparameterChoice
from pytest_finetune.lifecycle.training.money import TrainingPrices
from pytest_finetune.lifecycle.training.plan import plan_training

OPENAI, HERE = "https://api.openai.com/v1", "http://127.0.0.1:8000/v1"
MINI = "gpt-4.1-mini-2025-04-14"


@pytest.fixture
def training(tmp_path):
    def write(examples, more=""):
        path = tmp_path / "train.jsonl"
        row = {"messages": [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "fine"}]}
        path.write_text((json.dumps(row) + "\n") * examples + more)
        return path

    return write


@pytest.mark.parametrize(("examples", "epochs"), [(99, 4), (100, 3), (1000, 3), (1001, 2)])
def test_the_price_covers_all_epochs(training, examples, epochs):
    plan = plan_training(training(examples), MINI, TrainingPrices(OPENAI))
    assert plan.suggestion.values.n_epochs == epochs
    assert plan.trained_tokens == plan.tokens * epochs
    assert (plan.rate, plan.cost) == (Decimal(5), Decimal(5) * plan.trained_tokens / 1_000_000)
    assert (plan.exact, plan.note) == (True, "")


def test_training_on_this_machine_is_free(training):
    plan = plan_training(training(10), "smollm2-135m", TrainingPrices(HERE))
    assert (plan.cost, plan.exact) == (0, True)


def test_an_unknown_price_is_reported_as_unknown(training):
    plan = plan_training(training(10), "gpt-9", TrainingPrices(OPENAI))
    assert plan.cost is None
    assert "no known price for gpt-9" in plan.note


def test_without_a_number_of_epochs_the_price_is_unknown(training):
    plan = plan_training(training(10), MINI, TrainingPrices(OPENAI), choice=HyperparameterChoice(n_epochs="auto"))
    assert (plan.trained_tokens, plan.cost) == (None, None)


def test_a_training_can_be_planned_without_the_extra(training, monkeypatch):
    def missing(_model):
        raise DataError("bpe_openai is not installed", hint="pip install 'pytest-finetune[data]'")

    monkeypatch.setattr("pytest_finetune.lifecycle.training.plan.tokenizer_for", missing)
    plan = plan_training(training(10), MINI, TrainingPrices(OPENAI))
    assert (plan.suggestion.examples, plan.tokens, plan.cost) == (10, None, None)
    assert "bpe_openai is not installed" in plan.note


def test_invalid_lines_are_not_counted_as_examples(training):
    assert (
        plan_training(training(10, '{"input": "x"}\n{broken\n'), MINI, TrainingPrices(OPENAI)).suggestion.examples == 10
    )
    with pytest.raises(DataError, match="no record is usable"):
        plan_training(training(0, '{"input": "x"}\n'), MINI, TrainingPrices(OPENAI))


def suggest(path, *words, code=0):
    result = CliRunner().invoke(main, ["train", "suggest", str(path), *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_prints_values_reasons_tokens_and_price(training):
    text = suggest(training(150), "--model", MINI)
    assert all(len(line) <= 80 for line in text.splitlines())
    output = " ".join(text.split())
    assert f"150 examples for {MINI}" in output
    assert "n_epochs 3 3 epochs are usual for 100 to 1,000 examples" in output
    assert "learning_rate_multiplier auto" in output
    assert "at $5.00 per 1M tokens" in output
    values = json.loads(suggest(training(150), "--model", MINI, "--json"))
    assert values["hyperparameters"] == {"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": "auto"}
    assert values["reasons"].keys() == values["hyperparameters"].keys()
    assert values["tokens_are"] == "exact"
    assert Decimal(values["cost"]) > 0


def test_without_a_model_the_price_is_unknown(training):
    assert "pass --model" in suggest(training(150))


def test_values_from_the_command_line_are_marked_as_such(training):
    assert "your choice" in suggest(training(150), "--epochs", "7")


def test_a_missing_file_is_reported(tmp_path):
    assert "cannot be read" in suggest(tmp_path / "none.jsonl", code=2)
