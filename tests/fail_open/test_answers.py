"""Whatever an answer, a scorer or a target does, a sample without a right answer never counts as passed."""

from __future__ import annotations

import json
from itertools import count

import pytest
from scripted_server import Reply, error

from pytest_finetune.evaluation.targets import retry

GATE = "[[gates]]\nmin = 0.5\n"
SCORED = 'scorer = "judges:judge"\n' + GATE


@pytest.mark.parametrize(
    "raised", ["asyncio.CancelledError()", "KeyboardInterrupt()", "SystemExit(0)", "GeneratorExit()"]
)
def test_a_judge_that_raises_a_base_exception_gives_an_errored_sample(suite, evaluate, pytester, raised):
    path = suite(3, toml=SCORED)
    path.with_name("judges.py").write_text(f"import asyncio\n\ndef judge(case, completion):\n    raise {raised}\n")
    result = evaluate("--finetune-deadline=5", subprocess=True)
    assert result.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    result.stdout.fnmatch_lines(["*incomplete*"])


@pytest.mark.parametrize("reason", ["error", "unknown", "malformed_function_call", "OTHER"])
def test_a_finish_reason_of_failure_is_not_an_answer(suite, evaluate, server, reason):
    suite(4, toml=GATE)
    server.answer = lambda body: Reply(body["messages"][-1]["content"], finish_reason=reason)
    # Short, since an answer that the server broke off is requested again.
    result = evaluate("--finetune-deadline=2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{reason}*"])


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "max_tokens", "model_length", "length"])
def test_every_servers_word_for_truncated_is_truncated(suite, evaluate, server, reason):
    suite(["bug", "bug"], inputs=["bug and", "bug and"], toml='scorer = "label"\nlabels = ["bug", "other"]\n' + GATE)
    server.answer = lambda body: Reply(body["messages"][-1]["content"], finish_reason=reason)
    result = evaluate("-rA", "-vv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*truncated*"])


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": -1, "completion_tokens": 3}]
)
def test_a_token_count_that_cannot_be_is_unknown(suite, evaluate, server, usage):
    suite(4, toml='[[gates]]\nmetric = "tokens_per_case"\nmax = 1\n')
    server.answer = lambda body: Reply(body["messages"][-1]["content"], usage=usage)
    assert evaluate().ret == pytest.ExitCode.TESTS_FAILED


def test_a_token_count_of_400_digits_is_unknown_and_the_sample_is_kept(suite, evaluate, server):
    suite(2, toml=GATE)
    choice = {"message": {"content": "word-0"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10**400, "completion_tokens": 1}
    body = json.dumps({"model": "m", "choices": [choice], "usage": usage})
    server.answer = lambda _: Reply(body=body.encode())
    result = evaluate()
    result.stdout.no_fnmatch_line("*unrun*")
    result.stdout.no_fnmatch_line("*OverflowError*")


FILTERED = {"hate": {"filtered": False}, "violence": {"filtered": True, "severity": "high"}}
INNER = {"message": "filtered", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}


@pytest.mark.parametrize(
    "refusal",
    [
        error(400, "The response was filtered", code="content_filter"),
        Reply(body={"error": {"message": "The response was filtered", "code": "content_filter"}}),
        Reply(status=400, body={"error": INNER}),
        Reply(status=400, body={"error": {"code": "BadRequest", "innererror": {"content_filter_result": FILTERED}}}),
        Reply(body={"choices": [{"finish_reason": "content_filter", "content_filter_results": FILTERED}]}),
        error(400, "Content Exists Risk", code="invalid_request_error", type="invalid_request_error"),
        error(400, "may be inappropriate", code="data_inspection_failed"),
        Reply(status=400, body={"code": "DataInspectionFailed", "message": "may be inappropriate"}),
        error(400, "your prompt was flagged as potentially violating our usage policy", code="invalid_prompt"),
        error(400, "x", code="content_policy_violation"),
        Reply(status=403, body={"error": {"code": 403, "message": "flagged", "metadata": {"flagged_input": "w"}}}),
        Reply(status=403, body={"code": "403", "error": "Content violates usage guidelines."}),
        Reply(finish_reason="content_filter: PROHIBITED_CONTENT"),
        Reply(finish_reason="sensitive"),
        Reply(status=400, body={"detail": {"error": {"code": "content_filter"}}}),
    ],
)
def test_a_content_filter_is_a_miss_whatever_the_status_it_comes_with(suite, evaluate, server, refusal):
    suite(4, toml="[[gates]]\nmin = 0.7\n")

    def answer(body):
        word = body["messages"][-1]["content"]
        return refusal if word == "word-0" else word

    server.answer = answer
    result = evaluate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*0.750*"])


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(status=400, body={"error": {"innererror": {"content_filter_result": {"hate": {"filtered": False}}}}}),
        error(400, "Content-Type is missing", code="invalid_request_error"),
        Reply(finish_reason="stop: filtered"),
    ],
    ids=["nothing filtered", "another 400", "another reason"],
)
def test_other_refusals_are_errors(suite, evaluate, server, refusal):
    suite(4, toml="[[gates]]\nmin = 0.7\n")
    server.answer = lambda body: refusal if body["messages"][-1]["content"] == "word-0" else "word-1"
    result = evaluate("--finetune-deadline=2")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*1 errored*"])


def test_an_answer_that_breaks_the_schema_validator_is_an_errored_or_missed_sample(suite, evaluate, pytester):
    path = suite(["5", "5"], toml='scorer = "schema"\nschema = "s.json"\n' + GATE)
    path.with_name("s.json").write_text('{"anyOf": [false, {"type": "object"}]}')
    result = evaluate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.no_fnmatch_line("*unrun*")


@pytest.mark.parametrize(
    ("expected", "normalize"),
    [
        ("-5", "strip_punctuation"),
        ("+", "strip_punctuation"),
        ("...", "strip_punctuation"),
        ("C++", "strip_punctuation"),
        ("(5)", "strip_punctuation"),
        ("n!", "strip_punctuation"),
        ("10①", "nfkc"),
    ],
)
def test_a_normalizer_never_makes_a_wrong_answer_right(suite, evaluate, expected, normalize):
    wrong = {"10①": "101"}.get(expected) or expected.strip("-+.()!") or "wrong"
    suite([expected], inputs=[wrong], toml=f'normalize = ["{normalize}"]\n' + GATE)
    assert evaluate().ret != 0


def test_two_labels_that_become_one_are_a_fault(suite, evaluate):
    suite(
        ["Bug"],
        toml='scorer = "label"\nlabels = ["Bug", "(bug)"]\nnormalize = ["strip_punctuation", "casefold"]\n' + GATE,
    )
    assert evaluate().ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("suffix", ["", " (request id {:032x})"])
def test_equal_refusals_stop_the_run_after_a_few(suite, evaluate, server, suffix):
    suite(200, toml=GATE)
    numbers = count()

    def refuse(_):
        message = "Unsupported parameter: 'temperature'" + suffix.format(next(numbers) + 10**30)
        return error(400, message, code="unsupported_parameter")

    server.answer = refuse
    result = evaluate("--concurrency=4")
    assert result.ret != 0
    assert len(server.questions) < 40
    result.stdout.fnmatch_lines(["*temperature*"])


@pytest.mark.parametrize(
    "refusals",
    [
        [error(422, "extra field a"), error(422, "extra field b")],
        [Reply(body={"error": {"message": "model is not loaded"}})],
        [error(503, "No healthy upstream"), error(500, "out of memory"), Reply("", finish_reason="error")],
    ],
    ids=["two refusals", "an error inside a success", "nothing but errors"],
)
def test_nothing_but_failures_stops_the_run(suite, evaluate, server, refusals, monkeypatch):
    monkeypatch.setattr(retry, "TRIES", 1)
    monkeypatch.setattr(retry, "TRIES_IN_VAIN", {})
    suite(300, toml=GATE)
    numbers = count()
    server.answer = lambda _: refusals[next(numbers) % len(refusals)]
    result = evaluate("--concurrency=4")
    assert result.ret != 0
    assert len(server.questions) < 100
    result.stdout.fnmatch_lines(["*times in a row*"])


def test_a_retry_after_past_the_deadline_stops_the_run_after_a_few(suite, evaluate, server):
    suite(200, toml=GATE)
    server.answer = lambda _: error(429, "slow down", retry_after="3600")
    assert evaluate("--concurrency=4", "--finetune-deadline=5").ret != 0
    assert len(server.questions) < 60
