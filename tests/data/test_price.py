"""Costs follow from counted tokens and dated prices; an unknown price stays unknown."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pytest_finetune.base.records import Usage
from pytest_finetune.evaluation.configured_prices import parse_prices
from pytest_finetune.evaluation.fine_tune_prices import PRICES, SOURCE, base_of, fine_tune_prices
from pytest_finetune.evaluation.pricing import price
from pytest_finetune.lifecycle.data.price import price_model, usual_epochs
from pytest_finetune.lifecycle.data.tokens import tokenizer_for
from pytest_finetune.lifecycle.data.traffic import (
    Traffic,
    TrainingTokens,
    count_training,
    evaluation_traffic,
    total_traffic,
    training_traffic,
)
from pytest_finetune.reports.price import is_priced, price_json, price_lines, price_warnings
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.shapes.row import ChatRow

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MILLION = TrainingTokens(1000, 1_000_000, 900)
CALLS = Traffic(1000, 500_000, 20_000)


def priced(model, *, training=MILLION, epochs=2, month=CALLS, **evaluations):
    return price_model(
        model,
        tokenizer_for(model),
        training=training,
        epochs=epochs,
        evaluations=evaluations,
        month=month,
        when=NOW,
    )


def test_configured_prices_win_in_an_estimate_and_are_named():
    lines = ["ours = 1, 10", "ours batch = 0.5, 5", "ours training = 7"]
    ours = price_model(
        "ours",
        tokenizer_for("ours"),
        training=MILLION,
        epochs=2,
        evaluations={},
        month=CALLS,
        when=NOW,
        configured=parse_prices(lines),
    )
    assert (ours.training_cost, ours.month.standard, ours.month.batch) == (14, Decimal("0.7"), Decimal("0.35"))
    assert is_priced(ours)
    dates = {"today": NOW.date(), "last_training_day": NOW.date()}
    assert ("as configured in finetune_prices: ours", {}) in price_lines([ours], {}, **dates)
    assert not any("price" in warning for warning in price_warnings([ours], {}, **dates))


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("gpt-4.1-2025-04-14", 50),
        ("gpt-4.1", 50),
        ("gpt-4.1-mini", 10),
        ("ft:gpt-4.1-nano-2025-04-14:acme::9Kx2", 3),
        ("gpt-4o-mini-2024-07-18", 6),
        ("local:smollm2-135m", 0),
        ("gpt-4o-2024-11-20", None),
        ("o4-mini-2025-04-16", None),
        ("an-unknown-model", None),
    ],
)
def test_training_costs_tokens_times_epochs_times_the_price(model, cost):
    assert priced(model).training_cost == cost


def test_answers_of_a_base_model_have_the_price_of_its_fine_tuned_version():
    month = priced("gpt-4.1-mini").month
    # 500,000 tokens at $0.80 and 20,000 at $3.20 per million; the batch API costs half.
    assert month.standard == Decimal("0.464")
    assert month.batch == Decimal("0.232")
    assert month.untuned == Decimal("0.232")
    assert priced("ft:gpt-4.1-mini-2025-04-14:acme::x").month == month
    assert priced("local:smollm2-135m").month.standard == 0


def test_answers_of_a_model_without_fine_tuning_have_its_own_price():
    found = priced("gpt-5.4")
    assert found.answers_as == "gpt-5.4"
    assert found.month.standard == price("gpt-5.4", Usage(500_000 // 1000, 20), when=NOW) * 1000


def test_a_long_month_is_not_priced_as_one_long_prompt():
    """This vendor charges more for prompts over 200,000 tokens; a thousand short prompts are not one long prompt."""
    assert priced("gemini-2.5-pro").month.standard == price("gemini-2.5-pro", Usage(500, 20), when=NOW) * 1000


def test_an_unknown_price_is_not_zero():
    found = priced("an-unknown-model", tickets=CALLS)
    assert (found.training_cost, found.month.standard, found.evaluations["tickets"].batch) == (None, None, None)
    assert not is_priced(found)
    text = "\n".join(line for line, _ in price_lines([found], {}, today=NOW.date(), last_training_day=NOW.date()))
    assert "unknown" in text
    assert "$0" not in text


@pytest.mark.parametrize(
    ("examples", "epochs"), [(0, 3), (1, 25), (4, 25), (10, 10), (33, 3), (34, 3), (8333, 3), (8334, 2), (90_000, 1)]
)
def test_default_epochs_depend_on_the_number_of_examples(examples, epochs):
    assert usual_epochs(examples) == epochs


def test_training_tokens_are_counted_for_several_tokenizers_in_one_pass():
    messages = [{"role": "user", "content": "hello world"}, {"role": "assistant", "content": "ok"}]
    rows = [ChatRow("chat", messages), ChatRow("chat", [*messages, *messages])]
    tokenizers = [tokenizer_for("gpt-4o"), tokenizer_for("gpt-4")]
    first, second = count_training(iter(rows), tokenizers)
    single = tokenizers[0].count_row(rows[0])
    assert first == TrainingTokens(2, single * 3 - 3, single * 2 - 3)
    assert second.examples == 2


def test_training_traffic_does_not_count_the_answer_as_prompt():
    messages = [{"role": "user", "content": "hello world"}, {"role": "assistant", "content": "hello world"}]
    tokenizer = tokenizer_for("gpt-4o")
    assert training_traffic([ChatRow("chat", messages)], tokenizer) == Traffic(1, 3 + 3 + 1 + 2, 2)


@pytest.fixture
def eval_set(tmp_path):
    def load(rows, toml=""):
        path = tmp_path / "tickets.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        path.with_suffix(".toml").write_text(toml, "utf-8")
        return load_eval_sets([path], root=tmp_path)[0]

    return load


def test_an_evaluation_includes_repeats(eval_set):
    rows = [{"input": "hello world", "expected": "hello world"}]
    tokenizer = tokenizer_for("gpt-4o")
    once = evaluation_traffic(eval_set(rows), tokenizer)
    assert once == Traffic(1, 9, 2)
    assert evaluation_traffic(eval_set(rows, "[stability]\nrepeats = 5\n"), tokenizer) == Traffic(5, 45, 10)


def test_objects_formats_and_limits_are_counted(eval_set, tmp_path):
    tokenizer = tokenizer_for("gpt-4o")
    plain = {"input": "hello world"}
    (tmp_path / "any.json").write_text("{}", "utf-8")
    objects = eval_set([plain | {"expected": {"a": 1}}], 'scorer = "json"\n')
    assert evaluation_traffic(objects, tokenizer).completion == tokenizer.count('{"a":1}')
    limited = eval_set([plain], 'scorer = "schema"\nschema = "any.json"\n[request]\nmax_completion_tokens = 64\n')
    assert evaluation_traffic(limited, tokenizer).completion == 64
    formatted = eval_set([plain | {"expected": "x"}], '[request]\nresponse_format = { type = "json_object" }\n')
    assert evaluation_traffic(formatted, tokenizer).prompt > 9


def test_traffic_adds_up_and_scales():
    assert total_traffic([Traffic(1, 10, 2), Traffic(3, 30, 4)]) == Traffic(4, 40, 6)
    assert Traffic(4, 40, 6).scaled(1000) == Traffic(1000, 10_000, 1500)
    assert total_traffic([]).scaled(10) == Traffic(0, 0, 0)


def test_warnings_name_estimates_and_shutdown_dates():
    ends = {"gpt-4.1-mini": date(2027, 1, 14), "gpt-4.1-nano": date(2026, 10, 23)}
    models = [priced(model) for model in ("gpt-4.1-mini", "gpt-4.1-nano", "llama-3", "o4-mini-2025-04-16")]
    warnings = "\n".join(price_warnings(models, ends, today=NOW.date(), last_training_day=date(2027, 1, 6)))
    assert "gpt-4.1-mini: OpenAI accepts no fine-tuning jobs after 2027-01-06" in warnings
    assert "gpt-4.1-mini: the model and its fine-tunes will be shut down on 2027-01-14" in warnings
    assert "gpt-4.1-nano: the model and its fine-tunes were shut down on 2026-10-23" in warnings
    assert "llama-3: unknown tokenizer; tokens are estimated with o200k_base" in warnings
    assert "o4-mini-2025-04-16: its training price is unknown; billed by time" in warnings


def test_several_models_fit_in_eighty_columns():
    models = [
        priced(model, tickets=CALLS)
        for model in ("gpt-4.1-mini", "ft:gpt-4o-mini-2024-07-18:a-long-organisation:a-long-suffix:9Kx2", "gpt-5.4")
    ]
    lines = [line for line, _ in price_lines(models, {}, today=NOW.date(), last_training_day=date(2027, 1, 6))]
    assert max(map(len, lines)) <= 80
    costs = [line.split()[1:] for line in lines if line.startswith("  cost")]
    assert costs[0] == ["$10.00", "$6.00"]
    output = price_json(models, {}, today=NOW.date(), last_training_day=date(2027, 1, 6))
    assert [each["training"]["cost"] for each in output["models"]] == ["10", "6", None]
    assert output["sources"]["training"]["list"] == SOURCE


def test_the_price_table_is_consistent():
    for model, prices in PRICES.items():
        assert fine_tune_prices(f"ft:{model}:acme::x") is prices
        assert (prices.training is None) == bool(prices.note)
        assert prices.batch.prompt < prices.standard.prompt
        assert prices.batch.completion < prices.standard.completion
    assert fine_tune_prices("gpt-4.1-nano") is PRICES["gpt-4.1-nano-2025-04-14"]
    assert fine_tune_prices("gpt-4.1-nano-2030-01-01") is None
    assert base_of("ft:gpt-4o:acme::x") == base_of("gpt-4o") == "gpt-4o"
