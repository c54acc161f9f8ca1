"""Reasoning is kept apart from the answer, recorded, and shown where an answer is wrong."""

from __future__ import annotations

import pytest
from scripted_server import Reply

from pytest_finetune.evaluation.runs import RunStore

THINK = '[answer]\nafter = "</think>"\n'
BARRED = '[[gates]]\nmetric = "accuracy"\nagainst = "production"\nmax_drop = 0.1\n\n[[gates]]\nmin = 0.9\n'
THOUGHT = "<think>It crashed, so it is a bug.</think>\n\n"


def sample(pytester):
    run = RunStore(pytester.path / ".finetune/runs").find("last")
    return next(iter(run.samples().values()))


def test_text_before_the_marker_is_recorded_as_reasoning(suite, evaluate, server, pytester):
    suite(["bug"], toml=THINK)
    server.answer = lambda _: f"{THOUGHT}bug"
    assert evaluate().ret == 0
    assert sample(pytester).completion.text == "bug"
    assert sample(pytester).completion.reasoning == "<think>It crashed, so it is a bug."
    # Scored again, the record has the answer apart already.
    assert evaluate(model="replay:last").ret == 0


def test_a_block_of_reasoning_is_part_of_the_answer_by_default(suite, evaluate, server):
    suite(["bug"])
    server.answer = lambda _: f"{THOUGHT}bug"
    result = evaluate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(['*to score only what follows </think>, set *answer* after = "</think>"*'])


def test_a_recorded_run_can_be_scored_with_a_marker_that_was_set_later(suite, evaluate, server):
    suite(["bug"])
    server.answer = lambda _: f"{THOUGHT}bug"
    assert evaluate().ret == 1
    suite(["bug"], toml=THINK)
    assert evaluate(model="replay:last").ret == 0


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_that_the_server_keeps_apart_is_shown_with_a_wrong_answer(suite, evaluate, server, pytester, key):
    suite(["bug"])
    server.answer = lambda _: {"content": "feature", key: "They want a zeppelin."}
    result = evaluate("--finetune-html=page.html")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*reasoning: They want a zeppelin.*"])
    assert sample(pytester).completion.reasoning == "They want a zeppelin."
    assert "They want a zeppelin." in (pytester.path / "page.html").read_text("utf-8")


def test_redacted_reports_hide_the_reasoning(suite, evaluate, server, pytester):
    suite(["bug"])
    server.answer = lambda _: {"content": "feature", "reasoning_content": "They want a zeppelin."}
    result = evaluate("--finetune-redact", "--finetune-html=page.html")
    assert "zeppelin" not in result.stdout.str()
    assert "zeppelin" not in (pytester.path / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("finish_reason", "kind", "why"),
    [("stop", "empty", "reasoning only"), ("length", "truncated", "cut off at the token limit before any answer")],
)
def test_reasoning_without_an_answer_is_named(suite, evaluate, server, finish_reason, kind, why):
    suite(["bug"], toml=f'scorer = "label"\nlabels = ["bug"]\n{THINK}')
    server.answer = lambda _: Reply("<think>It crashed, so", finish_reason=finish_reason)
    result = evaluate()
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*format: *{kind}", f"*reason: *{why}"])


def test_reasoning_is_kept_in_the_response_cache(suite, evaluate, server, pytester):
    suite(["bug"])
    server.answer = lambda _: {"content": "bug", "reasoning_content": "It crashed."}
    for _ in range(2):
        assert evaluate(cache=True).ret == 0
    assert len(server.requests) == 1
    assert sample(pytester).completion.reasoning == "It crashed."
    assert sample(pytester).completion.from_cache


def test_a_recorded_baseline_is_scored_with_the_marker_too(suite, evaluate, server):
    suite(20, toml=BARRED)
    server.answer = lambda body: f"<think>hm</think>{body['messages'][-1]['content']}"
    assert evaluate(model="old").ret == 1
    suite(20, toml=f"{THINK}{BARRED}")
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*accuracy 1.000 -> 1.000*"])
