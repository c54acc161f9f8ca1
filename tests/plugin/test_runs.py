"""What a session leaves on disk: the run record, resumed and replayed, and the response cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from scripted_server import error

from pytest_finetune.base.records import State
from pytest_finetune.evaluation.runs import RunStore

GATE = '[[gates]]\nmetric = "accuracy"\nmin = 0.5\n'


@pytest.fixture
def store(pytester):
    return RunStore(pytester.path / ".finetune" / "runs")


def last_words(server):
    return [body["messages"][-1]["content"] for body in server.questions]


def test_a_session_leaves_a_closed_record_with_plan_samples_and_verdicts(suite, evaluate, store, server):
    suite(3, inputs=["word-0", "wrong", "word-2"], toml=GATE)
    evaluate()
    run = store.find("last")
    manifest = run.manifest
    assert manifest.closed
    assert (manifest.target.spec, manifest.target.base_url) == ("ft:test", server.url)
    assert [(plan.name, plan.cases, plan.repeats) for plan in manifest.eval_sets] == [("eval_sets/tickets.jsonl", 3, 1)]
    assert [(v.gate, v.status) for v in manifest.verdicts] == [("accuracy>=0.5", "pass")]
    assert (manifest.totals.passed, manifest.totals.missed, manifest.totals.planned) == (2, 1, 3)
    assert manifest.answered_by == ("ft:test",)
    texts = {key[1]: sample.completion.text for key, sample in run.samples().items()}
    assert texts == {"case-0": "word-0", "case-1": "wrong", "case-2": "word-2"}


def test_a_set_without_gates_is_recorded_with_the_rule_it_implies(suite, evaluate, store):
    suite(3, inputs=["word-0", "wrong", "word-2"])
    evaluate()
    assert [(v.gate, v.status) for v in store.find("last").manifest.verdicts] == [("accuracy>=1", "fail")]


def test_a_subset_leaves_the_record_open_and_resume_requests_only_the_rest(suite, evaluate, store, server):
    suite(5, toml=GATE)
    evaluate("-k", "case-1 or case-3")
    assert not store.find("last").manifest.closed
    server.requests.clear()
    assert evaluate("--resume").ret == 0
    assert sorted(last_words(server)) == ["word-0", "word-2", "word-4"]
    assert store.find("last").manifest.closed
    assert len(list(store.root.iterdir())) == 1


def test_a_session_that_requests_nothing_leaves_no_record(suite, evaluate, store):
    suite(2, toml=GATE)
    evaluate("-k", "gate or no-such-case")
    assert store.newest_first() == []


def test_resuming_without_a_request_keeps_the_record(suite, evaluate, store):
    suite(2, toml=GATE)
    evaluate("-k", "case-0")
    evaluate("--resume", "-k", "no-such-case")
    assert len(store.newest_first()) == 1


def test_a_run_can_be_completed_piece_by_piece(suite, evaluate, store, server):
    suite(5, toml=GATE)
    evaluate("-k", "case-1 or case-3")
    result = evaluate("--resume", "-k", "not case-1 and not case-3")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*pass*accuracy>=0.5*1.000*", "run *: closed"])
    assert len(server.requests) == 5


def test_resume_continues_the_open_run_and_leaves_the_other_model_s_unchanged(suite, pytester, server):
    suite(4, toml=GATE)
    options = ("--model=a", "--model=b", f"--model-base-url={server.url}", "-p", "no:randomly")
    server.answer = lambda body: error(400, "no") if body["model"] == "b" else body["messages"][-1]["content"]
    assert pytester.runpytest_inprocess(*options).ret == 1
    server.answer = lambda body: body["messages"][-1]["content"]
    sent = len(server.requests)
    assert pytester.runpytest_inprocess(*options, "--resume").ret == 0
    assert len(server.requests) - sent == 4
    assert pytester.runpytest_inprocess(*options, "--resume").ret == pytest.ExitCode.USAGE_ERROR


def test_a_changed_scoring_function_does_not_resume_an_old_run(suite, evaluate, pytester):
    judge = pytester.path / "judge.py"
    judge.write_text("def passes(case, completion): return True\n")
    suite(5, toml='scorer = "judge:passes"\n' + GATE)
    evaluate("-k", "case-1", subprocess=True)
    judge.write_text("def passes(case, completion): return False\n")
    assert evaluate("--resume", subprocess=True).ret == pytest.ExitCode.USAGE_ERROR


def test_resume_without_an_open_run_is_a_usage_error(suite, evaluate):
    suite(2)
    evaluate()
    result = evaluate("--resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no open run of ft:test*", "*run without --resume*"])


def test_a_changed_eval_set_does_not_resume_an_old_run(suite, evaluate):
    suite(3, toml=GATE)
    evaluate("-k", "case-1")
    suite(4, toml=GATE)
    assert evaluate("--resume").ret == pytest.ExitCode.USAGE_ERROR


def test_x_stops_further_requests_and_leaves_a_resumable_run(suite, evaluate, store, server):
    suite(200, inputs=["wrong"] * 200)
    result = evaluate("-x", "--concurrency=2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(server.requests) < 200
    assert not store.find("last").manifest.closed


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_session_that_is_cut_off_loses_at_most_what_was_in_flight(pytester, suite, server, store, how):
    suite(400, toml=GATE)
    server.latency = 0.02
    command = [sys.executable, "-m", "pytest", "--model=ft:test", f"--model-base-url={server.url}", "--concurrency=4"]
    command.append("--finetune-no-cache")
    process = subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while len(server.requests) < 60:
        time.sleep(0.01)
    os.kill(process.pid, how)
    output = process.communicate(timeout=300)[0].decode()
    assert "Traceback" not in output
    if how is signal.SIGINT:
        assert process.returncode == pytest.ExitCode.INTERRUPTED
        assert "--resume" in output
    run = store.find("last")
    assert not run.manifest.closed
    answered = len(run.samples())
    assert len(server.requests) - 4 <= answered
    server.latency = 0
    sent = len(server.requests)
    assert subprocess.run([*command, "--resume"], cwd=pytester.path, capture_output=True, check=False).returncode == 0
    assert len(server.requests) - sent == 400 - answered
    assert store.find("last").manifest.closed


def test_replay_scores_a_run_with_the_current_settings_without_requests(suite, evaluate, pytester, server):
    path = suite(3, inputs=["WORD-0", "word-1", "word-2"], toml=GATE)
    evaluate().assert_outcomes(passed=3)
    path.with_suffix(".toml").write_text('normalize = ["casefold"]\n[[gates]]\nmin = 1.0\n')
    server.requests.clear()
    result = pytester.runpytest_inprocess("--model=replay:last")
    assert result.ret == 0
    assert server.requests == []


def test_replay_never_scores_an_answer_to_another_prompt(suite, evaluate, pytester):
    suite(2, toml=GATE)
    evaluate()
    suite(2, inputs=["word-0", "quite another question"], toml=GATE)
    result = pytester.runpytest_inprocess("--model=replay:last", "-vv")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*incomplete*", "*sent another prompt for this case*"])


def test_an_immutable_model_is_requested_once_and_cache_hits_are_marked(suite, evaluate, store, server):
    suite(3)
    evaluate(cache=True)
    server.requests.clear()
    evaluate(cache=True).assert_outcomes(passed=3)
    assert server.requests == []
    assert all(sample.completion.from_cache for sample in store.find("last").samples().values())
    evaluate()
    assert len(server.requests) == 3


def test_cache_clear_clears_the_answers_too(suite, evaluate, server):
    suite(3)
    evaluate(cache=True)
    evaluate("--cache-clear", cache=True)
    assert len(server.requests) == 6


def test_a_model_whose_weights_may_change_is_always_requested(suite, evaluate, server):
    suite(3)
    evaluate(model="gpt-4o-mini", cache=True)
    evaluate(model="gpt-4o-mini", cache=True)
    assert len(server.requests) == 6


def test_it_works_without_the_cacheprovider_plugin(suite, evaluate, server):
    suite(3)
    evaluate("-p", "no:cacheprovider", cache=True).assert_outcomes(passed=3)


def test_an_error_is_recorded_with_its_kind(suite, evaluate, store, server):
    suite(1)
    server.answer = lambda body: error(400, "no such parameter")
    evaluate()
    (sample,) = store.find("last").samples().values()
    assert (sample.state, sample.failure.kind, sample.failure.status) == (State.ERROR, "bad_request", 400)


def test_the_record_is_one_json_object_per_line(suite, evaluate, store):
    suite(2)
    evaluate()
    lines = (store.find("last").path / "samples.jsonl").read_text("utf-8").splitlines()
    assert [sorted(json.loads(line)) for line in lines] == [
        ["attempt", "case_id", "completion", "crc32", "eval_set", "prompt_sha256", "score", "state"]
    ] * 2


@pytest.mark.parametrize("again", [1, 2])
def test_the_record_of_a_replay_has_the_parameters_that_the_answers_were_requested_with(
    suite, evaluate, store, pytester, again
):
    path = suite(3, toml="[request]\ntemperature = 0.7\nseed = 3\n" + GATE)
    evaluate()
    asked = store.find("last")
    path.with_suffix(".toml").write_text("[request]\ntemperature = 0.2\n" + GATE)
    for _ in range(again):
        result = pytester.runpytest_inprocess("--model=replay:last")
    assert result.ret == 0
    replayed = store.find("last")
    assert replayed.id != asked.id
    assert replayed.manifest.target.identity == asked.manifest.target.identity
    (plan,) = replayed.manifest.eval_sets
    assert plan.request == {"temperature": 0.7, "seed": 3}
    assert f"the answers are those of run {asked.id}" in plan.request_notes
    changed = "the settings have changed since, which replay does not apply: temperature 0.7 -> 0.2, seed 3 -> not sent"
    assert changed in plan.request_notes
    result.stdout.fnmatch_lines([f"requests to ft:test: {changed}"])


def test_a_replay_is_compared_by_the_parameters_of_its_answers(suite, evaluate, store, pytester):
    path = suite(3, toml="[request]\ntemperature = 0.7\n" + GATE)
    evaluate(model="old")
    old = store.find("last").id
    path.with_suffix(".toml").write_text("[request]\ntemperature = 0.2\n" + GATE)
    evaluate(model="new")
    new = store.find("last").id
    result = pytester.runpytest_inprocess(f"--model=replay:{old}", f"--baseline=replay:{new}", "-p", "no:randomly")
    result.stdout.fnmatch_lines(["*the requests differ from the baseline's: temperature", "*0.2 -> 0.7"])


def test_a_replay_of_an_old_record_does_not_claim_todays_parameters(suite, evaluate, store, pytester):
    suite(3, toml="[request]\ntemperature = 0.7\n" + GATE)
    evaluate()
    manifest = store.find("last").path / "manifest.json"
    value = json.loads(manifest.read_text("utf-8"))
    for plan in value["eval_sets"]:
        plan.pop("request")
    manifest.write_text(json.dumps(value), "utf-8")
    pytester.runpytest_inprocess("--model=replay:last")
    (plan,) = store.find("last").manifest.eval_sets
    assert plan.request == {}


def test_a_set_whose_answer_follows_another_marker_now_is_recorded_with_that_marker(suite, evaluate, store, pytester):
    path = suite(2, toml='[answer]\nafter = "A:"\n' + GATE)
    evaluate()
    path.with_suffix(".toml").write_text(GATE)
    pytester.runpytest_inprocess("--model=replay:last")
    (plan,) = store.find("last").manifest.eval_sets
    assert plan.request == {"temperature": 0.0}


def test_workers_replay_the_run_that_was_the_last_before_the_session(suite, evaluate, server):
    suite(4)
    assert evaluate().ret == 0
    result = evaluate("-n2", model="replay:last")
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=4)
    assert len(server.questions) == 4
