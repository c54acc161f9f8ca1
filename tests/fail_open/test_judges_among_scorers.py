"""Judges and embeddings among several scorers of a set: each has its own replies, calibration and gates."""

from __future__ import annotations

import json

import pytest
from scripted_judge import judged, polite, write_labelled
from scripted_server import Reply

from pytest_finetune.evaluation.runs import RunStore

GOOD = [f"please {number}" for number in range(40)]
RULE = '[[scorers]]\ntype = "contains"\ndecides = true\n'
JUDGE = """\
[[scorers]]
name = "{name}"
type = "judge"
model = "judge-{name}"
rubric = "{rubric}"
labels = ["good", "bad"]
passes = ["good"]
"""
TONE = JUDGE.format(name="tone", rubric="Polite answers are good.")
LENGTH = JUDGE.format(name="length", rubric="Short answers are good.")
ON_TONE = '[[gates]]\nscorer = "tone"\nmin = 0.5\nconfidence = 0.9\n'
GATED = RULE + TONE + "[[gates]]\nmin = 0.9\n" + ON_TONE
COMMAND = "run pytest-finetune gates calibrate eval_sets/tickets.jsonl --scorer tone"


@pytest.fixture
def calibrated(suite, calibrate, server, pytester):
    """A set in which a rule decides, and whose judge of the tone was calibrated."""
    server.answer = polite
    suite(GOOD, toml=GATED)
    path = write_labelled(pytester.path, scorer="tone")
    done = calibrate("--scorer", "tone")
    assert done.exit_code == 0
    assert "wrote tickets.tone.calibration.json" in done.output
    return path


def replies(pytester):
    samples = RunStore(pytester.path / ".finetune" / "runs").find("last").samples().values()
    return {sample.case_id: {each.scorer: each.completion.text for each in sample.replies} for sample in samples}


def incomplete(result, reason):
    text = " ".join(result.stdout.str().split())
    assert result.ret == 1
    assert "does not ship" in text
    assert reason in text, text
    assert COMMAND in text
    return True


def test_a_rule_decides_and_a_calibrated_judge_has_a_corrected_gate_of_its_own(calibrated, evaluate, pytester):
    result = evaluate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*pass *accuracy>=0.9 *", "*pass *accuracy>=0.5,scorer=tone*"])
    assert "corrected: the judge passes 1.000 of 40 cases" in " ".join(result.stdout.str().split())
    assert replies(pytester)["case-0"] == {"tone": "VERDICT: good"}


def test_the_judges_misses_do_not_miss_the_case_but_fail_its_gate(calibrated, evaluate, server):
    server.answer = lambda body: polite(body, right="VERDICT: bad")
    result = evaluate()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*pass *accuracy>=0.9 *", "*fail *accuracy>=0.5,scorer=tone*"])


def test_without_its_own_calibration_the_judges_gate_does_not_pass(suite, evaluate, server, pytester):
    server.answer = polite
    suite(GOOD, toml=GATED)
    write_labelled(pytester.path)
    assert incomplete(evaluate(), "the judge's agreement with people was not measured")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Polite answers", "All answers"),
        ("judge-tone", "judge-2026-02-02"),
        ('passes = ["good"]', 'passes = ["bad"]'),
    ],
)
def test_the_calibration_of_another_judge_or_rubric_does_not_count(calibrated, suite, evaluate, before, after):
    suite(GOOD, toml=GATED.replace(before, after))
    assert incomplete(evaluate(), "is that of another judge or rubric")


def test_a_judge_that_answers_under_another_name_does_not_count(calibrated, evaluate, server):
    server.answer = lambda body: Reply(polite(body), model="other" if judged(body) else None)
    assert incomplete(evaluate(), "the judge answered as other, which was not calibrated")


def test_labelled_answers_that_were_changed_afterwards_do_not_count(calibrated, evaluate):
    lines = calibrated.read_text().splitlines()
    calibrated.write_text("\n".join(lines[:-1]) + "\n")
    assert incomplete(evaluate(), "tickets.tone.calibration.jsonl was changed after the judge saw it")


def test_two_judges_are_asked_with_their_own_rubrics_and_do_not_share_a_calibration(
    suite, evaluate, calibrate, server, pytester
):
    server.answer = lambda body: "VERDICT: bad" if body["model"] == "judge-length" else polite(body)
    suite(GOOD, toml=LENGTH.replace("type =", "decides = true\ntype =") + TONE + ON_TONE)
    write_labelled(pytester.path)
    assert calibrate("--scorer", "length").exit_code == 1
    assert incomplete(evaluate(), "the judge's agreement with people was not measured")
    assert replies(pytester)["case-0"] == {"": "VERDICT: bad", "tone": "VERDICT: good"}
    rubrics = {body["model"]: body["messages"][0]["content"] for body in server.questions if judged(body)}
    assert "Short answers" in rubrics["judge-length"]
    assert "Polite answers" in rubrics["judge-tone"]
    write_labelled(pytester.path, scorer="tone")
    assert calibrate("--scorer", "tone").exit_code == 0
    assert evaluate().ret == 0


def test_the_calibration_file_of_another_scorer_does_not_count(calibrated, suite, evaluate):
    suite(GOOD, toml=GATED + LENGTH + ON_TONE.replace("tone", "length"))
    for suffix in (".jsonl", ".json"):
        source = calibrated.with_suffix(suffix)
        source.with_name(source.name.replace("tone", "length")).write_bytes(source.read_bytes())
    result = evaluate()
    assert result.ret == 1
    text = " ".join(result.stdout.str().split())
    assert "tickets.length.calibration.json is that of another judge or rubric" in text


@pytest.mark.parametrize("reply", ["good", "VERDICT: fine", Reply("VERDICT: good", finish_reason="length")])
def test_a_reply_without_a_plain_verdict_is_an_error_and_no_pass(calibrated, evaluate, server, reply):
    server.answer = lambda body: reply if judged(body) else polite(body)
    result = evaluate()
    assert result.ret == 1
    assert "does not ship" in result.stdout.str()


def test_a_judge_that_cannot_be_asked_is_named(calibrated, evaluate, server):
    server.answer = lambda body: Reply(status=400, body={"error": {"message": "no"}}) if judged(body) else polite(body)
    result = evaluate()
    assert result.ret != 0
    assert "scorer: tone judge-tone: " in " ".join(result.stdout.str().split())


def test_a_replay_takes_the_replies_of_each_scorer(calibrated, evaluate, server, pytester):
    evaluate()
    asked = len(server.questions)
    assert evaluate(model="replay:last").ret == 0
    assert len(server.questions) == asked
    assert replies(pytester)["case-0"] == {"tone": "VERDICT: good"}


def test_a_judges_gate_among_several_is_never_decided_early(calibrated, evaluate, server):
    before = len([body for body in server.questions if judged(body)])
    assert evaluate("--stop-when-decided").ret == 0
    assert len([body for body in server.questions if judged(body)]) == before + len(GOOD)


def test_the_model_of_each_scorer_is_on_record(calibrated, evaluate, pytester):
    evaluate()
    (plan,) = RunStore(pytester.path / ".finetune" / "runs").find("last").manifest.eval_sets
    assert plan.judge is None
    assert {name: info.model for name, info in plan.asked.items()} == {"tone": "judge-tone"}


def test_an_embedding_next_to_a_rule_has_scores_and_gates(suite, evaluate, server):
    def answer(body):
        if "input" not in body:
            return body["messages"][-1]["content"]
        data = [{"index": at, "embedding": [1, at * 0.75]} for at in range(len(body["input"]))]
        return Reply(body={"data": data, "model": "e-1", "usage": {"prompt_tokens": 3, "total_tokens": 3}})

    server.answer = answer
    embedding = '[[scorers]]\nname = "near"\ntype = "embedding"\nmodel = "e"\nthreshold = 0.7\n'
    gates = '[[gates]]\nscorer = "near"\nmetric = "score"\nmin = {}\n'
    suite(4, toml=RULE + embedding + gates.format(0.79))
    result = evaluate()
    result.stdout.fnmatch_lines(["*pass *score>=0.79,scorer=near*0.800*"])
    suite(4, toml=RULE + embedding + gates.format(0.81))
    assert evaluate().ret == 1


def test_a_comparison_has_to_decide(suite, evaluate, server):
    other = '[[scorers]]\ntype = "preference"\nmodel = "judge-x"\nrubric = "r"\n'
    suite(GOOD, toml=RULE + other + '[[gates]]\nscorer = "preference"\nmetric = "win_rate"\nmin = 0.5\n')
    result = evaluate()
    assert "preference compares with a baseline, which only the deciding scorer may do" in result.stderr.str()
    assert not server.questions


@pytest.mark.parametrize(
    ("name", "problem"), [("tune", "no scorer is called 'tune'"), ("", "the scorer is contains, not a judge")]
)
def test_only_a_judge_of_the_set_is_calibrated(calibrated, calibrate, name, problem):
    done = calibrate(*(["--scorer", name] if name else []))
    assert done.exit_code == 2
    assert problem in done.output
    assert "tone" in done.output


def test_labelled_answers_for_a_scorer_are_no_eval_set(calibrated, evaluate):
    assert "calibration" not in evaluate().stdout.str()
    assert len(json.loads(calibrated.with_suffix(".json").read_text())["verdicts"]) == 60
