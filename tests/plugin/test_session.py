"""One session at the terminal: items, misses, gates, exit codes."""

from __future__ import annotations

import gc
import json

import pytest
from scripted_server import Reply, error

GATE = '[[gates]]\nmetric = "accuracy"\nmin = {bar}\n'


def wrong(*numbers):
    """Inputs that make the echoing server answer these cases wrong; the case count is six."""
    return ["wrong" if number in numbers else f"word-{number}" for number in range(6)]


def test_every_line_is_a_test_at_its_own_line(suite, evaluate):
    suite(3)
    result = evaluate("-v")
    result.stdout.fnmatch_lines(
        ["eval_sets/tickets.jsonl::case-0 PASSED*", "eval_sets/tickets.jsonl::case-2 PASSED*", "*3 passed*"]
    )
    assert result.ret == 0


def test_without_a_model_nothing_is_collected_and_no_request_is_sent(pytester, suite, server):
    suite(3)
    result = pytester.runpytest_inprocess("-p", "no:randomly")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert server.requests == []


def test_what_a_session_keeps_from_the_garbage_collector_is_given_back(suite, evaluate):
    suite(3)
    assert evaluate().ret == pytest.ExitCode.OK
    # Python 3.12 keeps some hundred objects of its own; a session keeps tens of thousands.
    assert gc.get_freeze_count() < 1_000


def test_without_gates_a_miss_is_a_failure_that_explains_itself(suite, evaluate):
    suite(["the quick brown fox jumps over the lazy dog"], inputs=["the quick red fox jumps over the lazy dog"])
    result = evaluate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "eval_sets/tickets.jsonl:1: case-0",
            "  user: *the quick red fox*",
            "  expected: *the quick brown fox*",
            "  got: *the quick red fox*",
            "  difference:",
            "*[[]-brown-[]]*",
            "*{+red+}*",
            "*1 failed*",
        ]
    )


def test_with_gates_a_miss_is_missed_and_the_gate_decides(suite, evaluate):
    suite(6, inputs=wrong(4), toml=GATE.format(bar=0.8))
    result = evaluate("-v")
    result.stdout.fnmatch_lines(
        [
            "*::case-4 MISSED*",
            "*::case-5 PASSED*",
            "eval_sets/tickets.jsonl::gate[[]accuracy>=0.8[]] PASSED*",
            "*6 passed, 1 missed*",
        ]
    )
    assert result.ret == 0


def test_a_gate_that_is_not_met_fails_the_session(suite, evaluate):
    suite(6, inputs=wrong(0, 1), toml=GATE.format(bar=0.8))
    result = evaluate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*FAILED eval_sets/tickets.jsonl::gate[[]accuracy>=0.8[]]*", "*1 failed, 4 passed, 2 missed*"]
    )


@pytest.mark.parametrize(("missed", "code"), [((0, 1, 2), 0), ((0, 1, 2, 3), 1)])
def test_the_bar_itself_passes_and_one_case_below_it_fails(suite, evaluate, missed, code):
    suite(6, inputs=wrong(*missed), toml=GATE.format(bar=0.5))
    assert evaluate().ret == code


def test_an_error_never_leaves_the_denominator(suite, evaluate, server):
    """One of four requests fails: the gate is incomplete, not 3 of 3 and passed."""
    suite(4, toml=GATE.format(bar=0.5))
    server.answer = lambda body: (
        error(400, "no such parameter") if "word-2" in str(body["messages"]) else body["messages"][-1]["content"]
    )
    result = evaluate()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*incomplete*accuracy>=0.5*", "*1 failed, 3 passed, 1 errored*"])


def test_errors_within_the_allowance_leave_the_verdict_to_the_gate(suite, evaluate, server):
    suite(4, toml="max_errors = 1\n" + GATE.format(bar=0.75))
    server.answer = lambda body: (
        error(400, "no such parameter") if "word-2" in str(body["messages"]) else body["messages"][-1]["content"]
    )
    assert evaluate().ret == 0


def test_without_gates_an_error_is_an_error_of_the_case(suite, evaluate, server):
    suite(2)
    server.answer = lambda body: error(400, "no such parameter")
    result = evaluate()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*error: *bad_request: *no such parameter*"])


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(401, "invalid_api_key", "*401*"), (429, "insufficient_quota", "*quota*"), (404, "model_not_found", "*404*")],
)
def test_a_fatal_answer_stops_the_session_at_once(suite, evaluate, server, status, code, expected):
    suite(300, toml=GATE.format(bar=0.5))
    server.answer = lambda body: error(status, "no", code=code)
    result = evaluate("--concurrency=4")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(server.requests) <= 8
    result.stdout.fnmatch_lines(
        ["*incomplete*accuracy>=0.5*", "stopped: *", "*--resume*", "*!!! *" + expected.strip("*") + "*!!!*"]
    )


def test_a_selected_subset_makes_its_gates_incomplete(suite, evaluate, server):
    suite(6, toml=GATE.format(bar=0.1))
    result = evaluate("-k", "case-1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(server.requests) == 1
    result.stdout.fnmatch_lines(["*incomplete*", "*5 of 6 samples were not run*"])


def test_tags_select_cases(suite, evaluate, server):
    suite(3, name="urgent", tags=["critical"])
    suite(3, name="rest")
    evaluate("-k", "critical")
    assert len(server.requests) == 3


def test_one_case_can_be_run_by_its_node_id(pytester, suite, evaluate, server):
    suite(4)
    assert evaluate("eval_sets/tickets.jsonl::case-2").ret == 0
    assert [body["messages"][-1]["content"] for body in server.questions] == ["word-2"]


def test_collect_only_sends_no_request_and_shows_their_number_and_cost(suite, evaluate, server):
    suite(7)
    result = evaluate("--collect-only", model="gpt-4o-mini-2024-07-18")
    result.stdout.fnmatch_lines(["*gpt-4o-mini-2024-07-18: 7 calls, *"])
    assert server.requests == []
    assert not result.stdout.lines[-1].startswith("run ")
    # The forecast is below the list of tests.
    result.stdout.fnmatch_lines(["*case-6*", "*: 7 calls, *"])


def test_a_named_file_is_an_eval_set_wherever_it_is(pytester, suite, evaluate):
    path = suite(2)
    path.rename(pytester.path / "elsewhere.jsonl")
    evaluate("elsewhere.jsonl").assert_outcomes(passed=2)


def test_other_jsonl_files_are_left_alone(pytester, suite, evaluate):
    suite(2)
    pytester.path.joinpath("train.jsonl").write_text("not an eval set\n")
    evaluate(".").assert_outcomes(passed=2)


def test_testpaths_do_not_hide_the_eval_sets(pytester, suite, evaluate):
    pytester.makeini("[pytest]\ntestpaths = tests\n")
    pytester.mkdir("tests").joinpath("test_own.py").write_text("def test_own(): pass\n")
    suite(2)
    evaluate().assert_outcomes(passed=3)


def test_two_models_are_two_columns_of_the_summary(suite, pytester, server):
    suite(6, inputs=wrong(1), toml=GATE.format(bar=0.9))
    server.answer = lambda body: "wrong" if body["model"] == "ft:b" else body["messages"][-1]["content"]
    result = pytester.runpytest_inprocess(
        "--model=ft:a", "--model=ft:b", f"--model-base-url={server.url}", "--finetune-no-cache"
    )
    result.stdout.fnmatch_lines(["* ft:a * ft:b*", "*accuracy * 0.833 * 0.000 *", "*accuracy>=0.9 * fail * fail*"])
    result.assert_outcomes(failed=2, passed=5)


def test_all_faults_of_all_files_are_one_usage_error_before_the_first_request(pytester, suite, evaluate, server):
    suite(2)
    pytester.path.joinpath("eval_sets/a.jsonl").write_text('{"input": "x", "expected": 1, "expcted": 2}\n{"input"\n')
    pytester.path.joinpath("eval_sets/b.jsonl").write_bytes(b'{"input": "\xff", "expected": "y"}\n')
    result = evaluate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str()
    assert "Traceback" not in text
    assert [place for place in ("a.jsonl:1", "a.jsonl:2", "b.jsonl:1") if f"eval_sets/{place}: " in text] == [
        "a.jsonl:1",
        "a.jsonl:2",
        "b.jsonl:1",
    ]
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model=registry:v1"], "there is no version 'v1'"),
        (["--model= "], "names no model"),
        (["--model=replay:last"], "no run yet"),
        (["--model=local:nothing-of-the-kind"], "local:nothing-of-the-kind"),
        (["--model=ft:x", "--model-base-url=not a url"], "base URL"),
        (["--model=ft:x", "--concurrency=0"], "--concurrency"),
        (["--model=ft:x", "--max-cost=-1"], "--max-cost"),
        (["--model=ft:x"], "OPENAI_API_KEY"),
    ],
)
def test_a_wrong_option_is_one_readable_message(pytester, suite, options, expected):
    suite(1)
    result = pytester.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert expected in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_model_without_eval_sets_is_refused(pytester):
    pytester.makepyfile("def test_own(): pass")
    result = pytester.runpytest_inprocess("--model=m", "--model-base-url=http://127.0.0.1:9/v1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no eval sets to evaluate*"])


def test_max_cost_is_refused_if_the_price_is_unknown(suite, evaluate, server):
    suite(1)
    result = evaluate("--max-cost=1", model="no-such-model")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert server.requests == []


def test_control_codes_of_a_model_do_not_reach_the_terminal(suite, evaluate, server):
    suite(["calm"])
    server.answer = lambda body: "\x1b[31mred\x1b]0;title\x07\u202e"
    result = evaluate("--color=no")
    assert "\x1b" not in result.stdout.str()
    result.stdout.fnmatch_lines([r"*\x1b[[]31mred*"])


def test_the_key_is_in_no_file_of_a_session(pytester, suite, evaluate, server, monkeypatch):
    key = "sk-proj-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    suite(2)
    server.answer = lambda body: error(401, f"Incorrect API key provided: {key}")
    result = evaluate("-l", "--junitxml=junit.xml", "--html=report.html", "-vv", "--showlocals")
    assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    written = b"".join(path.read_bytes() for path in pytester.path.rglob("*") if path.is_file())
    assert key not in result.stdout.str() + result.stderr.str()
    assert key.encode() not in written


def test_repeats_request_every_case_several_times(suite, evaluate, server):
    suite(3, toml="[stability]\nrepeats = 2\ntemperature = 0.5\n")
    evaluate("--repeats=4").assert_outcomes(passed=3)
    assert len(server.requests) == 12
    assert {body["temperature"] for body in server.questions} == {0.5}


def test_a_refusal_and_a_truncation_are_named(suite, evaluate, server):
    suite(["bug", "feature"], toml='scorer = "label"\nlabels = ["bug", "feature"]\n')
    answers = {"bug": Reply(message={"content": None, "refusal": "I cannot"}), "feature": Reply("feat", "length")}
    answers["feature"] = Reply("feat", finish_reason="length")
    server.answer = lambda body: answers[body["messages"][-1]["content"]]
    evaluate().stdout.fnmatch_lines(["*format: *refusal*", "*format: *truncated*", "*format failures: *"])


def test_requests_have_the_parameters_of_the_settings(suite, evaluate, server, pytester):
    pytester.path.joinpath("eval_sets").mkdir()
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    pytester.path.joinpath("eval_sets/s.schema.json").write_text(json.dumps(schema))
    suite(1, toml='[request]\nmax_completion_tokens = 9\nresponse_schema = "s.schema.json"\n')
    evaluate()
    body = server.questions[0]
    assert body["max_completion_tokens"] == 9
    assert body["temperature"] == 0
    assert body["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize(
    ("returned", "gate", "expected"),
    [
        ('Score(passed="false")', "accuracy", "passed is not a bool"),
        ("Score(passed=True, fields=(5, 1))", "field_accuracy", "fields are not"),
        ("Score(passed=True, shape='nojson')", "format_stability", "shape is not JSON"),
        ("Score(passed=True)", "format_stability", "shape is missing"),
        ("True", "valid_rate", "a gate needs valid_rate"),
    ],
)
def test_a_gate_on_a_value_that_the_scoring_function_does_not_return_fails(
    pytester, suite, evaluate, returned, gate, expected
):
    pytester.path.joinpath("own.py").write_text(
        f"from pytest_finetune import Score\ndef judge(case, completion): return {returned}\n"
    )
    suite(3, toml=f'scorer = "own:judge"\n[[gates]]\nmetric = "{gate}"\nmin = 0.1\n')
    result = evaluate("-v", subprocess=True)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{expected}*", "*incomplete*"])


def test_repeats_on_the_command_line_can_satisfy_a_gate_that_needs_them(suite, evaluate):
    suite(3, toml='[[gates]]\nmin = 1.0\nper_case = "1 of 3"\n')
    assert evaluate().ret == pytest.ExitCode.USAGE_ERROR
    assert evaluate("--repeats=3").ret == 0


def test_repeats_that_contradict_a_gate_are_blamed_on_the_option(suite, evaluate, server):
    suite(3, toml='[[gates]]\nmin = 1.0\nper_case = "2 of 3"\n[stability]\nrepeats = 3\n')
    result = evaluate("--repeats=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*per_case is '2 of 3', but with --repeats=1 every case has 1 attempt", "*pass --repeats=3"]
    )
    assert server.requests == []


def test_a_model_name_that_differs_from_the_requested_one_is_reported(suite, evaluate, server):
    suite(2)
    server.answer = lambda body: Reply(body["messages"][-1]["content"], model="somebody-else")
    evaluate().stdout.fnmatch_lines(["warning: requested ft:test, but somebody-else answered"])


@pytest.mark.parametrize("cases", [1, 6])
def test_a_spent_quota_interrupts_however_many_cases_there_are(suite, evaluate, server, cases):
    suite(cases, toml=GATE.format(bar=0.5))
    server.answer = lambda body: error(429, "spent", code="insufficient_quota")
    assert evaluate().ret == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("body", "expected"),
    [("raise SystemExit(3)", "broke: SystemExit"), ("time.sleep(600)", "took longer than 1 s")],
)
def test_a_scoring_function_cannot_hang_or_end_the_session(pytester, suite, evaluate, body, expected):
    pytester.path.joinpath("own.py").write_text(f"import time\ndef judge(case, completion): {body}\n")
    suite(2, toml='scorer = "own:judge"\n')
    result = evaluate("--finetune-deadline=1", subprocess=True)
    result.assert_outcomes(errors=2)
    assert expected in result.stdout.str()


def test_an_error_is_reported_without_a_traceback(suite, evaluate, server):
    suite(1)
    server.answer = lambda body: error(400, "no such parameter")
    result = evaluate()
    assert "CaseNotPassedError" not in result.stdout.str()
    assert len(result.stdout.lines) < 40


def test_a_selection_leaves_a_gate_over_its_own_slice_incomplete_too(suite, evaluate):
    suite(3, name="tickets", tags=["critical"], toml='[[gates]]\nmin = 0.5\nwhere = { tag = "critical" }\n')
    result = evaluate("-k", "case-1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*incomplete*accuracy>=0.5,tag=critical*"])
