"""Prices that a project configures win over the lists; an invalid line is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pytest_finetune.base.errors import EvalSetError, PriceError
from pytest_finetune.base.records import Usage
from pytest_finetune.evaluation.configured_prices import parse_prices, project_prices
from pytest_finetune.evaluation.pricing import price

MILLION = Usage(prompt=1_000_000, completion=1_000_000, cached=500_000)


def cost(model, *lines, **how):
    return price(model, MILLION, configured=parse_prices(lines), **how)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("my-model = 0.5, 2", "2.5"),
        ("my-model=.5,2", "2.5"),
        ("my-model = 0.5, 2, 0.1", "2.3"),
        ("my-* = 1, 1", "2"),
        ("*=0,0", "0"),
    ],
)
def test_a_configured_price_is_per_million_tokens_and_holds_on_every_server(line, expected):
    assert cost("my-model", line, base_url="http://gateway.example/v1") == Decimal(expected)
    assert cost("my-model", line, base_url="http://127.0.0.1:8000/v1", service_tier="flex") == Decimal(expected)


def test_a_configured_price_wins_over_the_list():
    listed = price("gpt-4.1-mini", MILLION, base_url="https://api.openai.com/v1")
    assert listed != cost("gpt-4.1-mini", "gpt-4.1-mini = 1, 1", base_url="https://api.openai.com/v1") == 2
    assert cost("gpt-4.1-mini", "other = 1, 1", base_url="https://api.openai.com/v1") == listed


def test_a_models_own_line_wins_over_patterns_and_an_earlier_pattern_over_a_later_one():
    lines = ("ft:* = 1, 1", "ft:a* = 2, 2", "ft:abc = 3, 3")
    assert [cost(model, *lines) for model in ("ft:abc", "ft:abd", "base")] == [6, 2, None]


def test_batch_prices_are_lines_of_their_own_and_are_not_guessed_from_others():
    assert cost("m", "m = 1, 1", "m batch = 0.5, 0.5", batch=True) == 1
    assert cost("m", "m = 1, 1", batch=True) is None
    assert cost("gpt-4.1-mini", "gpt-4.1-mini = 1, 1", batch=True) is None


def test_a_training_price_does_not_apply_to_answers():
    prices = parse_prices(["base-* training = 25"])
    assert prices.training_rate("base-1") == 25
    assert prices.training_rate("other") is None
    assert price("base-1", MILLION, configured=prices) is None


def test_a_free_model_stays_free():
    assert cost("local:m", "* = 9, 9", free=True) == 0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["gpt 0.5, 2"], "not a model, '=' and its prices"),
        (["= 0.5, 2"], "not a model, '=' and its prices"),
        (["m ="], "'' is not an amount"),
        (["m = 0.5"], "1 price"),
        (["m = 1, 2, 0.5, 3"], "4 prices"),
        (["m training = 1, 2"], "2 prices"),
        (["m training = 25", "m training = 20"], "m has a price already"),
        (["m = 1, 2", "m = 1, 2"], "m has a price already"),
        (["m = $1, $2"], "'$1' is not an amount"),
        (["m = -1, 2"], "'-1' is not an amount"),
        (["m = nan, 2"], "'nan' is not an amount"),
        (["m = 1e3, 2"], "'1e3' is not an amount"),
        (["m = ١, 2"], "is not an amount"),
        (["m = 1, 2, 3"], "cached tokens cost more"),
        (["m Batch = 1, 2"], "'Batch' is neither 'batch' nor 'training'"),
        (["my model = 1, 2"], "'model' is neither 'batch' nor 'training'"),
    ],
)
def test_a_wrong_line_is_refused_with_its_text_and_the_reason(lines, message):
    with pytest.raises(PriceError) as caught:
        parse_prices(lines)
    assert message in str(caught.value)
    assert repr(lines[-1]) in str(caught.value)
    assert "hint: " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nfinetune_prices =\n    m = 1, 2\n    n = 3, 4\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nfinetune_prices = ["m = 1, 2", "n = 3, 4"]\n'),
        ("pyproject.toml", '[tool.pytest.ini_options]\nfinetune_prices = """\nm = 1, 2\nn = 3, 4\n"""\n'),
        ("tox.ini", "[pytest]\nfinetune_prices = m = 1, 2\n    n = 3, 4\n"),
    ],
)
def test_commands_read_the_prices_of_the_project_that_a_folder_is_in(tmp_path, name, text):
    (tmp_path / name).write_text(text, "utf-8")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    for folder in (tmp_path, below):
        prices = project_prices(folder)
        assert (prices.rates("m").completion, prices.rates("n").prompt) == (2, 3)


def test_prices_that_are_not_a_list_of_texts_are_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nfinetune_prices = { m = 1 }\n", "utf-8")
    with pytest.raises(EvalSetError, match="finetune_prices is not a list"):
        project_prices(tmp_path)
