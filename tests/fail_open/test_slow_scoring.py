"""Slow patterns and formats in some answers neither stall the session nor spoil the latency of the others."""

from __future__ import annotations

import json

import pytest
from scripted_server import Reply

SLOW = "a" * 40 + "!"
LATENCY = '[[gates]]\nmetric = "latency_p95"\nmax = 2000\n'


@pytest.mark.parametrize("scorer", ["regex", "schema"])
def test_slow_patterns_do_not_count_as_latency_of_other_answers(suite, evaluate, server, scorer):
    pattern, fast = "(a|aa)+b", "aab"
    settings = {"regex": 'scorer = "regex"\n', "schema": 'scorer = "schema"\nschema = "s.json"\n'}
    path = suite([pattern] * 60, inputs=[f"{n}" for n in range(60)], toml=settings[scorer] + LATENCY)
    path.with_name("s.json").write_text(json.dumps({"pattern": "^(a|aa)+b$"}), "utf-8")

    def answer(body):
        text = SLOW if int(body["messages"][-1]["content"]) % 10 == 0 else fast
        return Reply(json.dumps(text) if scorer == "schema" else text)

    server.answer = answer
    result = evaluate("--concurrency=32")
    result.stdout.fnmatch_lines(["*pass*latency_p95*"])
    assert result.ret == 0


def test_a_format_that_takes_quadratic_time_is_given_up(suite, evaluate, server):
    path = suite(2, toml='scorer = "schema"\nschema = "s.json"\n[[gates]]\nmetric = "valid_rate"\nmin = 0.5\n')
    path.with_name("s.json").write_text(json.dumps({"format": "uri-template"}), "utf-8")
    server.answer = lambda body: json.dumps("{" * 1_000_000)
    result = evaluate("--finetune-deadline=10", "-vv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the format 'uri-template' took too long*"])
