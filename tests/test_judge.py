"""A model as judge in whole sessions: asked by the engine, recorded, corrected for its errors."""

from __future__ import annotations

import json

import pytest
from scripted_judge import GATED, TOML, judged, polite, write_labelled
from scripted_server import Reply

from pytest_finetune.evaluation.runs import RunStore


def recorded(pytester):
    run = RunStore(pytester.path / ".finetune" / "runs").find("last")
    return run, run.samples()


def test_the_judge_decides_each_case_and_its_reply_is_on_record(suite, evaluate, server, pytester):
    server.answer = polite
    suite(["please wait", "go away"], toml=TOML)
    evaluate().assert_outcomes(passed=1, failed=1)
    _, samples = recorded(pytester)
    replies = {key[1]: sample.replies for key, sample in samples.items()}
    assert [reply.completion.text for reply in replies["case-0"]] == ["VERDICT: good"]
    assert [reply.completion.text for reply in replies["case-1"]] == ["VERDICT: bad"]


def test_the_judge_is_asked_at_temperature_zero_with_the_answer_as_data(suite, evaluate, server):
    server.answer = polite
    suite(["please wait"], toml=TOML)
    evaluate()
    (request,) = [body for body in server.questions if body["model"].startswith("judge")]
    assert request["temperature"] == 0.0
    assert "Polite answers are good." in request["messages"][0]["content"]
    assert judged(request) == {
        "question": [{"role": "user", "content": "please wait"}],
        "expected": ["please wait"],
        "answer": "please wait",
    }


def test_the_parameters_of_the_judge_are_those_of_its_id_under_models(suite, evaluate, server):
    server.answer = polite
    own = '[models."judge-2026-01-01".request]\ntemperature = "default"\nmax_tokens = 99\n'
    suite(["please wait"], toml=TOML + own + '[models."*".request]\ntop_p = 0.5\n')
    evaluate()
    (request,) = [body for body in server.questions if body["model"].startswith("judge")]
    assert ("temperature" in request, request["max_tokens"], "top_p" in request) == (False, 99, False)


def test_a_score_passes_from_its_limit_on(suite, evaluate, server):
    graded = TOML.partition("labels")[0] + "score = {min = 1, max = 5, pass_at_least = 4}\n"
    server.answer = lambda body: polite(body, right="Good.\nVERDICT: 4", wrong="VERDICT: 3.9")
    suite(["please wait", "go away"], toml=graded)
    evaluate().assert_outcomes(passed=1, failed=1)


def test_an_answer_without_text_misses_without_the_judge(suite, evaluate, server):
    server.answer = lambda body: "" if judged(body) is None else "VERDICT: good"
    suite(["please wait"], toml=TOML)
    evaluate().assert_outcomes(failed=1)
    assert [body["model"] for body in server.questions] == ["ft:test"]


def test_a_replay_takes_the_recorded_replies_and_asks_again_for_another_rubric(suite, evaluate, server, pytester):
    server.answer = polite
    suite(["please wait", "go away"], toml=TOML)
    evaluate()
    asked = len(server.questions)
    evaluate(model="replay:last").assert_outcomes(passed=1, failed=1)
    assert len(server.questions) == asked
    suite(["please wait", "go away"], toml=TOML.replace("Polite", "Kind"))
    evaluate(model="replay:last").assert_outcomes(passed=1, failed=1)
    assert [body["model"] for body in server.questions[asked:]] == ["judge-2026-01-01"] * 2


def test_resume_asks_the_judge_only_about_what_is_missing(suite, evaluate, server, pytester):
    fails = {"please two"}
    server.answer = lambda body: (
        Reply(status=400, body={"error": {"message": "bad"}})
        if (data := judged(body)) and data["answer"] in fails
        else polite(body)
    )
    suite(["please one", "please two"], toml=TOML)
    evaluate().assert_outcomes(passed=1, errors=1)
    fails.clear()
    before = len(server.questions)
    evaluate("--resume").assert_outcomes(passed=2)
    assert [body["model"] for body in server.questions[before:]] == ["ft:test", "judge-2026-01-01"]


def test_the_judges_replies_are_cached_like_other_answers(suite, evaluate, server):
    server.answer = polite
    suite(["please one", "go away"], toml=TOML)
    evaluate(cache=True)
    asked = len(server.questions)
    evaluate(cache=True)
    assert len(server.questions) == asked


def test_the_judge_counts_towards_the_cost_and_the_limit(suite, evaluate, server, pytester):
    server.answer = polite
    prices = "finetune_prices =\n    ft:test = 1, 1\n    judge-2026-01-01 = 1000000, 0\n"
    pytester.makeini("[pytest]\n" + prices)
    suite([f"please {n}" for n in range(8)], toml=TOML)
    evaluate("--max-cost=1500", "--concurrency=1")
    run, samples = recorded(pytester)
    spent = sum(sample.total_cost for sample in samples.values())
    assert run.manifest.stopped_kind == "budget"
    assert spent < 1500
    assert sum(body["model"].startswith("judge") for body in server.questions) < 8


def test_a_limit_needs_the_price_of_the_judge(suite, evaluate, server, pytester):
    pytester.makeini("[pytest]\nfinetune_prices =\n    ft:test = 1, 1\n")
    suite(["please one"], toml=TOML)
    result = evaluate("--max-cost=1")
    result.stderr.fnmatch_lines(["*price of judge-2026-01-01 at*unknown*"])
    assert not server.questions


def test_calibration_prints_and_writes_the_agreement(suite, calibrate, server, pytester):
    server.answer = polite
    suite(["please wait"], toml=TOML)
    write_labelled(pytester.path)
    result = calibrate()
    assert result.exit_code == 0, result.output
    assert "sensitivity   0.900  [0.744, 0.965]  27 of 30" in result.output
    assert "specificity   0.900  [0.744, 0.965]  27 of 30" in result.output
    assert "kappa         0.800  [0.648, 0.952]" in result.output
    record = json.loads((pytester.path / "eval_sets" / "tickets.calibration.json").read_text())
    assert (record["model"], len(record["verdicts"])) == ("judge-2026-01-01", 60)


def test_a_gate_is_corrected_for_the_judges_errors_and_says_so(suite, calibrate, evaluate, server, pytester):
    server.answer = polite
    suite([f"please {n}" for n in range(33)] + [f"go {n}" for n in range(7)], toml=GATED)
    write_labelled(pytester.path)
    calibrate()
    notes, page = pytester.path / "notes.md", pytester.path / "page.html"
    result = evaluate(f"--finetune-markdown={notes}", f"--finetune-html={page}", "-v")
    # (33/40 + 0.9 - 1) / (0.9 + 0.9 - 1) = 0.90625
    corrected = "accuracy 0.906 (corrected: the judge passes 0.825 of 40 cases, sensitivity 0.900, specificity 0.900)"
    assert corrected in " ".join(result.stdout.str().split())
    assert "corrected: the judge passes 0.825" in notes.read_text("utf-8")
    assert "corrected: the judge passes 0.825" in page.read_text("utf-8")
    run, _ = recorded(pytester)
    (verdict,) = run.manifest.verdicts
    assert (verdict.status, verdict.value) == ("pass", 0.90625)
    assert verdict.low == pytest.approx(0.70, abs=0.05)


def test_the_labelled_answers_are_no_eval_set(suite, calibrate, evaluate, server, pytester):
    server.answer = polite
    suite(["please wait"], toml=TOML)
    write_labelled(pytester.path)
    calibrate()
    result = evaluate("--collect-only", "-q", "eval_sets")
    assert "calibration" not in result.stdout.str()
