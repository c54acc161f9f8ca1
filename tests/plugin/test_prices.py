"""Prices in the configuration, `--max-cost`, and the cost on record."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from scripted_server import Reply, error

from pytest_finetune.cli import main

ONE_TOKEN = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
GATE = '[[gates]]\nmetric = "accuracy"\nmin = {bar}\n'


@pytest.fixture
def prices(pytester):
    def write(*lines):
        pytester.makeini("[pytest]\nfinetune_prices =\n" + "".join(f"    {line}\n" for line in lines))

    return write


def recorded_cost(pytester, monkeypatch):
    monkeypatch.chdir(pytester.path)
    shown = CliRunner().invoke(main, ["runs", "show", "last", "--json"])
    return json.loads(shown.stdout)["totals"]["cost"]


def test_max_cost_works_on_any_server_once_the_price_is_given(suite, evaluate, server, prices):
    suite(10)
    prices("ft:* = 1000000, 0")
    # Each request costs as many dollars as it has prompt tokens.
    assert evaluate("--max-cost=1000000").ret == 0
    assert len(server.requests) == 10
    result = evaluate("--max-cost=1", "--concurrency=1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(server.requests) == 11
    result.stdout.fnmatch_lines(["*--max-cost 1 is used up*"])


def test_workers_spend_from_one_budget(suite, evaluate, server, prices):
    suite(40)
    prices("ft:* = 0, 1000000")
    server.answer = lambda body: Reply("word", usage=ONE_TOKEN)
    result = evaluate("--max-cost=10", "-n2", subprocess=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert 8 <= len(server.requests) <= 10
    result.stdout.fnmatch_lines(["*--max-cost 10 is used up*"])


def test_a_resumed_run_counts_what_it_has_cost_before(suite, evaluate, server, prices):
    suite(10)
    prices("ft:* = 0, 1000000")
    server.answer = lambda body: Reply("word", usage=ONE_TOKEN)
    assert evaluate("--max-cost=4").ret == pytest.ExitCode.INTERRUPTED
    assert len(server.requests) == 4
    assert evaluate("--max-cost=4", "--resume").ret == pytest.ExitCode.INTERRUPTED
    assert len(server.requests) == 4
    evaluate("--max-cost=7", "--resume", "-n2", subprocess=True)
    assert len(server.requests) == 7


def test_a_resumed_run_is_priced_by_its_tokens_if_its_price_was_unknown(suite, evaluate, server, prices):
    suite(10)
    server.answer = lambda body: Reply("word", usage=ONE_TOKEN) if "word-5" not in str(body) else error(401, "no")
    evaluate("--concurrency=1")
    assert len(server.requests) == 6
    server.answer = lambda body: Reply("word", usage=ONE_TOKEN)
    prices("ft:* = 0, 1000000")
    evaluate("--max-cost=8", "--resume", "--concurrency=1")
    # Five answers were paid before; three more fit.
    assert len(server.requests) == 6 + 3


def test_a_resumed_run_with_uncounted_tokens_keeps_no_bound(suite, evaluate, server, prices):
    suite(10)
    server.answer = lambda body: Reply("word", usage={}) if "word-5" not in str(body) else error(401, "no")
    evaluate("--concurrency=1")
    prices("ft:* = 0, 1000000")
    result = evaluate("--max-cost=8", "--resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*answers whose cost is unknown*", "*without --resume*"])
    assert len(server.requests) == 6


def test_without_a_price_max_cost_names_the_line_to_write(suite, evaluate, server, prices):
    suite(1)
    prices("another-model = 1, 2")
    result = evaluate("--max-cost=1", model="ft:mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the price of ft:mine at *is unknown*", "*finetune_prices: ft:mine = PROMPT, COMPL*"])
    assert server.requests == []


def test_a_wrong_price_is_a_usage_error_before_anything_is_requested(suite, evaluate, server, prices):
    suite(1)
    prices("ft:test = cheap")
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*finetune_prices: 'ft:test = cheap': 'cheap' is not an amount*"])
    assert server.requests == []


def test_a_registered_version_has_the_price_of_its_model_id(pytester, suite, evaluate, server, prices, monkeypatch):
    suite(1)
    prices("ft:shop = 1000000, 0")
    monkeypatch.chdir(pytester.path)
    added = CliRunner().invoke(main, ["registry", "add", "v1", "--model-id=ft:shop", f"--base-url={server.url}"])
    assert added.exit_code == 0, added.output
    assert evaluate("--max-cost=1000000", model="registry:v1").ret == 0
    assert float(recorded_cost(pytester, monkeypatch)) >= 1


def test_the_forecast_uses_configured_prices(suite, evaluate, prices):
    suite(1)
    prices("ft:test = 0, 10000")
    evaluate("--collect-only").stdout.fnmatch_lines(["*ft:test: 1 call, about $1.00*"])


def test_the_forecast_has_a_line_per_gate(suite, evaluate):
    suite(40, toml=GATE.format(bar=0.9))
    line = "*tickets.jsonl: accuracy>=0.9: passes in 95 %, fails in 5 % if truly 0.950"
    evaluate("--collect-only").stdout.fnmatch_lines(["*ft:test: 40 calls, *", line])


def test_a_run_that_stopped_when_decided_has_a_cost(pytester, suite, evaluate, server, prices, monkeypatch):
    suite(40, toml=GATE.format(bar=0.05))
    prices("ft:test = 1000000, 0")
    assert evaluate("--stop-when-decided", "--concurrency=1").ret == 0
    assert len(server.requests) < 40
    assert float(recorded_cost(pytester, monkeypatch)) >= len(server.requests)
