"""Slow patterns and formats are stopped in time and do not block the event loop."""

from __future__ import annotations

import json
import threading

import pytest

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.verdicts.json_schema import pattern
from pytest_finetune.verdicts.json_schema.validation import compile_schema
from pytest_finetune.verdicts.scoring.scorers.regex import RegexScorer
from pytest_finetune.verdicts.scoring.scorers.schema import SchemaScorer

SLOW = "a" * 80 + "!"
SETTINGS = {"regex": 'scorer = "regex"\n', "schema": 'scorer = "schema"\nschema = "s.json"\n'}


@pytest.mark.parametrize("scorer", [RegexScorer, SchemaScorer])
def test_a_slow_pattern_is_given_up_and_never_searched_on_the_event_loop(suite, evaluate, server, monkeypatch, scorer):
    """On the event loop it would be measured as latency of the requests in flight."""
    path = suite(["(a|aa)+b"] * 2, inputs=["a", "b"], toml=SETTINGS[scorer.name] + "[[gates]]\nmin = 0.5\n")
    path.with_name("s.json").write_text(json.dumps({"pattern": "^(a|aa)+b$"}), "utf-8")
    server.answer = lambda body: json.dumps(SLOW) if scorer is SchemaScorer else SLOW
    threads, details, score = [], [], scorer.score

    def scored(self, case, completion):
        # The self-test of the gates scores answers of its own.
        if SLOW not in completion.text:
            return score(self, case, completion)
        threads.append(threading.current_thread().name)
        result = score(self, case, completion)
        details.append(result.detail)
        return result

    monkeypatch.setattr(scorer, "score", scored)
    assert evaluate().ret == pytest.ExitCode.TESTS_FAILED
    assert len(details) == 2
    assert all("took" in detail for detail in details)
    assert threads == ["finetune-work"] * 2


def test_a_format_that_takes_quadratic_time_is_given_up(suite, evaluate, server):
    path = suite(2, toml='scorer = "schema"\nschema = "s.json"\n[[gates]]\nmetric = "valid_rate"\nmin = 0.5\n')
    path.with_name("s.json").write_text(json.dumps({"format": "uri-template"}), "utf-8")
    server.answer = lambda body: json.dumps("{" * 1_000_000)
    result = evaluate("--finetune-deadline=10", "-vv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the format 'uri-template' took too long*"])


TWICE = [{"items": {"$ref": "#/$defs/n"}, "minItems": size} for size in (2, 3)]
NESTED = {"$defs": {"n": {"type": ["array", "number"], "anyOf": TWICE}}, "$ref": "#/$defs/n"}


def test_a_schema_that_takes_exponential_time_is_given_up(suite, evaluate, server, monkeypatch):
    """Each level of the answer is checked twice against the level below."""
    monkeypatch.setattr(pattern, "MOST_CHECKS", 20_000)
    path = suite(["a", "b"], inputs=["a", "b"], toml=SETTINGS["schema"] + "[[gates]]\nmin = 0.5\n")
    path.with_name("s.json").write_text(json.dumps(NESTED), "utf-8")
    server.answer = lambda _: "[" * 40 + "1" + "]" * 40
    result = evaluate("-vv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*takes too many steps*"])


def test_a_schema_that_takes_exponential_time_for_any_value_is_a_fault(monkeypatch):
    monkeypatch.setattr(pattern, "MOST_CHECKS", 20_000)
    levels = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    schema = {"$defs": {**levels, "d40": {}}, "$ref": "#/$defs/d0"}
    with pytest.raises(ScorerError, match="too many steps"):
        compile_schema(schema, "s.json")
