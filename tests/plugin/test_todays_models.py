"""Sessions with a retiring fine-tune, its successor and a base model; the server refuses what they refuse."""

from __future__ import annotations

import json
import sys

import pytest
from successor_server import LUNA, REASONING_TOKENS, SuccessorServer, effort_of

from pytest_finetune.evaluation.runs import Run, RunStore

OLD, BASE = "ft:gpt-4.1-mini-2025-04-14:acme::abc", "gpt-4.1-mini"
TOOL = {"type": "function", "function": {"name": "echo", "parameters": {"type": "object"}}}
CALLS = 'scorer = "tool_call"\n'
COMMAND = (sys.executable, "-c", "from pytest_finetune.cli import main; main(prog_name='pytest-finetune')")
BARRED = '[[gates]]\nmetric = "accuracy"\nagainst = "production"\nmax_drop = 0.1\n'


@pytest.fixture
def server():
    with SuccessorServer() as server:
        yield server


@pytest.fixture
def calls(pytester):
    """An eval set of tool calls: `calls(toml)`."""

    def write(toml):
        folder = pytester.path / "eval_sets"
        folder.mkdir(exist_ok=True)
        rows = [
            {
                "id": f"case-{number}",
                "tools": [TOOL],
                "messages": [
                    {"role": "user", "content": f"word-{number}"},
                    {"role": "assistant", "content": None, "tool_calls": [_call(f"word-{number}")]},
                ],
            }
            for number in range(3)
        ]
        path = folder / "calls.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        path.with_suffix(".toml").write_text(CALLS + toml, "utf-8")

    return write


def _call(text):
    function = {"name": "echo", "arguments": json.dumps({"text": text})}
    return {"id": "call_1", "type": "function", "function": function}


def luna(effort):
    return f'[models."gpt-6-luna".request]\nreasoning_effort = "{effort}"\n'


def manifest(pytester, model):
    runs = map(Run.load, RunStore(pytester.path / ".finetune/runs").newest_first())
    return next(run.manifest for run in runs if run.manifest.target.model == model)


@pytest.mark.parametrize("effort", ["none", "low", "high"])
def test_the_old_model_the_successor_and_a_base_model_pass_in_one_session(
    suite, calls, evaluate, server, pytester, effort
):
    suite(3, toml="[request]\nmax_tokens = 16\n" + luna(effort))
    calls(luna(effort))
    result = evaluate(f"--model={LUNA}", f"--model={BASE}", model=OLD)
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=18)
    asked = [each for each in server.questions if each["model"] == LUNA]
    assert {effort_of(each) for each in asked} == {effort}
    assert {"temperature" in each for each in asked} == {effort == "none"}
    paths = {each.path for each in server.requests if each.json["model"] == LUNA and each.json.get("tools")}
    assert paths == {"/v1/chat/completions" if effort == "none" else "/v1/responses"}
    others = [each for each in server.questions if each["model"] != LUNA]
    assert {each["temperature"] for each in others} == {0.0}
    plan = next(plan for plan in manifest(pytester, LUNA).eval_sets if plan.name.endswith("tickets.jsonl"))
    assert plan.request["max_completion_tokens"] == 16
    assert plan.request["reasoning_effort"] == effort


def test_what_is_left_out_and_renamed_is_in_the_header_and_the_record(suite, evaluate, pytester):
    suite(1, toml="[request]\nmax_tokens = 16\n")
    result = evaluate(model=LUNA)
    assert result.ret == 0
    left_out = 'temperature left out: refused by GPT-6 Sol and GPT-6 Luna unless reasoning_effort is "none"'
    renamed = "max_tokens sent as max_completion_tokens: refused by GPT-6 Sol and GPT-6 Luna"
    result.stdout.fnmatch_lines([f"requests to {LUNA}: {left_out}", f"requests to {LUNA}: {renamed}"])
    (plan,) = manifest(pytester, LUNA).eval_sets
    assert plan.request_notes == (left_out, renamed)
    assert plan.request == {"max_completion_tokens": 16}
    shown = pytester.run(*COMMAND, "runs", "show", "last")
    shown.stdout.fnmatch_lines(["*requests: temperature left out*"])


def test_reasoning_tokens_are_counted_and_recorded(suite, evaluate, pytester):
    suite(1)
    assert evaluate(model=LUNA).ret == 0
    run = RunStore(pytester.path / ".finetune/runs").find("last")
    (sample,) = run.samples().values()
    assert sample.completion.usage.reasoning == REASONING_TOKENS
    assert sample.completion.usage.completion > REASONING_TOKENS


def test_the_first_refusal_that_names_a_parameter_ends_the_run_with_the_line_to_write(suite, evaluate, server):
    suite(5, toml=f'[models."{LUNA}".request]\ntemperature = 0.0\n')
    result = evaluate("--concurrency=1", model=LUNA)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(server.questions) == 1
    text = result.stdout.str()
    assert f'in eval_sets/tickets.toml write under [models."{LUNA}".request]: temperature = "default"' in text


def test_a_limit_that_the_responses_api_finds_too_low_ends_the_run_with_the_line_to_write(suite, evaluate):
    suite(3, toml='[request]\napi = "responses"\nmax_completion_tokens = 8\n')
    result = evaluate(model=BASE)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert f'write under [models."{BASE}".request]: max_completion_tokens = 16' in result.stdout.str()


def test_a_comparison_says_that_the_requests_differ(suite, evaluate, pytester):
    suite(20, toml=BARRED + luna("low"))
    result = evaluate(f"--baseline={OLD}", model=LUNA)
    assert result.ret == 0, result.stdout.str()
    differ = [
        "*requests differ from the baseline's: temperature",
        '*0.0 -> not sent, reasoning_effort not sent -> "low"',
    ]
    result.stdout.fnmatch_lines(differ)
    old, new = (manifest(pytester, model).id for model in (OLD, LUNA))
    compared = pytester.run(*COMMAND, "runs", "compare", old, new)
    compared.stdout.fnmatch_lines(["*the requests differ: temperature 0.0 -> not sent*"])


def test_a_comparison_with_equal_requests_says_nothing(suite, evaluate):
    suite(20, toml=BARRED)
    result = evaluate(f"--baseline={OLD}", model=BASE)
    assert result.ret == 0
    assert "requests differ" not in result.stdout.str()


@pytest.mark.parametrize("how", ["option", "ini", "toml"])
def test_all_requests_can_go_to_the_responses_api(suite, evaluate, server, pytester, how):
    toml = '[request]\napi = "responses"\n' if how == "toml" else ""
    suite(3, toml=f"{toml}[stability]\nrepeats = 2\n")
    if how == "ini":
        pytester.makeini("[pytest]\nfinetune_api = responses\n")
    result = evaluate(*(["--finetune-api=responses"] if how == "option" else []), model=BASE)
    assert result.ret == 0, result.stdout.str()
    assert {each.path for each in server.requests} == {"/v1/responses"}
    assert manifest(pytester, BASE).eval_sets[0].request == {"temperature": 0.0, "api": "responses"}


def test_an_unknown_api_in_the_ini_file_is_refused(suite, evaluate, pytester):
    suite(1)
    pytester.makeini("[pytest]\nfinetune_api = grpc\n")
    result = evaluate(model=BASE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*finetune_api = grpc: unknown API*"])


def test_answers_of_the_two_apis_are_cached_apart(suite, evaluate, server):
    suite(2)
    for options in ([], ["--finetune-api=responses"], ["--finetune-api=responses"]):
        assert evaluate(*options, model=OLD, cache=True).ret == 0
    assert [each.path.rpartition("/")[2] for each in server.requests] == ["completions"] * 2 + ["responses"] * 2
