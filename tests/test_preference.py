"""The scorer `preference`: each pair is judged in both orders, and only agreement of the two decides."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from scripted_server import Reply

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.lifecycle.registry import Change, Entry, FileBackend

TOML = """\
[scorer]
type = "preference"
model = "judge-2026-01-01"
rubric = "The friendlier answer is better."
[[gates]]
metric = "win_rate"
min = 0.5
confidence = 0.9
"""
PLAIN = "[[gates]]\nmin = 0.0\n"
QUESTIONS = [f"question {number}" for number in range(40)]


def friendlier(pair):
    """The judge prefers what says "friend", and A where neither or both do: it has a bias for the first place."""
    a, b = ("friend" in pair[name] for name in "AB")
    return "VERDICT: B" if b and not a else "VERDICT: A"


@pytest.fixture
def answering(server):
    """The new model is friendly in 30 of 40 cases, the old one in the last 5."""

    def answer(body):
        content = body["messages"][-1]["content"]
        if body["model"].startswith("judge"):
            return friendlier(json.loads(content))
        number = int(content.split()[1])
        return f"friend {number}" if (number < 30 if body["model"] == "new" else number >= 35) else f"answer {number}"

    server.answer = answer
    return server


@pytest.fixture
def baseline(suite, evaluate, answering):
    suite(QUESTIONS, toml=PLAIN)
    evaluate(model="old")
    suite(QUESTIONS, toml=TOML)


@pytest.fixture
def labelled(pytester):
    def write(count=30, errs=3, losses_won=3):
        pairs = [("win", n >= errs) for n in range(count)] + [("loss", n < losses_won) for n in range(count)]
        lines = [
            {
                "input": f"ask {n}",
                "answer": f"friend {n}" if wins else f"answer {n}",
                "baseline": f"answer {n}" if wins else f"friend {n}",
                "human": human,
            }
            for n, (human, wins) in enumerate(pairs)
        ]
        path = pytester.path / "eval_sets" / "tickets.calibration.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    return write


def text_of(result):
    return " ".join(result.stdout.str().split())


def test_a_pair_is_asked_in_both_orders_and_only_agreement_wins(baseline, evaluate, answering, pytester):
    evaluate("--baseline=replay:last", model="new")
    pairs = [json.loads(body["messages"][-1]["content"]) for body in answering.questions if body["model"][0] == "j"]
    of_first = [(pair["A"], pair["B"]) for pair in pairs if pair["question"][0]["content"] == "question 0"]
    assert sorted(of_first) == [("answer 0", "friend 0"), ("friend 0", "answer 0")]
    samples = RunStore(pytester.path / ".finetune" / "runs").find("last").samples()
    values = {key[1]: sample.score.value for key, sample in samples.items()}
    # 30 wins, 5 losses; where both answers are alike, the judge's bias for A makes a tie.
    assert [values[f"case-{number}"] for number in (0, 29, 30, 34, 35, 39)] == [1.0, 1.0, 0.5, 0.5, 0.0, 0.0]
    assert all(len(sample.replies) == 2 for sample in samples.values())


def test_a_calibrated_win_rate_is_corrected_and_passes(baseline, labelled, calibrate, evaluate):
    labelled()
    result = calibrate()
    assert result.exit_code == 0, result.output
    assert "27 of 30" in result.output
    result = evaluate("--baseline=replay:last", model="new")
    # The win rate is 32.5 of 40, and 0.8125 - 0.1 of 0.8 is 0.890625.
    assert "win_rate 0.891 (corrected: the judge passes 0.812 of 40 cases" in text_of(result)
    assert "ships: 1 of 1 gates passed" in text_of(result)


def test_workers_compare_with_the_baseline_too(baseline, labelled, calibrate, evaluate):
    labelled()
    calibrate()
    result = evaluate("-n2", "--baseline=replay:last", model="new", subprocess=True)
    assert "win_rate 0.891 (corrected: the judge passes 0.812 of 40 cases" in text_of(result)


def test_without_a_calibration_the_gate_is_incomplete(baseline, evaluate):
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == 1
    assert "run pytest-finetune gates calibrate eval_sets/tickets.jsonl" in text_of(result)


@pytest.mark.parametrize("options", [(), ("--baseline=old",)])
def test_without_a_recorded_baseline_nothing_passes_and_the_judge_is_not_asked(
    baseline, labelled, calibrate, evaluate, answering, options
):
    labelled()
    calibrate()
    before = len(answering.questions)
    result = evaluate(*options, model="new")
    assert result.ret == 1
    assert "does not ship" in text_of(result)
    assert "needs --baseline=replay:RUN" in text_of(result)
    assert not [body for body in answering.questions[before:] if body["model"].startswith("judge")]


def test_a_model_compared_with_itself_does_not_pass(baseline, labelled, calibrate, evaluate):
    labelled()
    calibrate()
    result = evaluate("--baseline=replay:last", model="old")
    assert result.ret == 1
    assert "is the model itself" in text_of(result)


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"errs": 14, "losses_won": 14}, "because the judge is not better than chance"),
        ({"losses_won": 20}, "because the judge was calibrated again since the run"),
    ],
)
def test_a_win_rate_is_judged_by_the_calibration_as_it_is_at_the_promotion(
    baseline, labelled, calibrate, evaluate, pytester, worse, reason
):
    now = datetime(2026, 11, 1, tzinfo=UTC)
    registry = FileBackend(pytester.path / "registry.json")
    registry.update(Change("add", "v2", who="test", entry=Entry(model_id="new", created_at=now)), now=now)
    labelled()
    calibrate()
    assert evaluate("--baseline=replay:last", model="new").ret == 0
    labelled(**worse)
    calibrate()
    command = ["registry", "promote", "v2", "--run", "last", "--who", "ann"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1, result.output
    assert reason in " ".join(result.output.split())
    assert registry.read().entries["v2"].status == "candidate"
    labelled()
    calibrate()
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert registry.read().entries["v2"].status == "production"


def test_answers_to_other_cases_are_not_compared_with(suite, baseline, labelled, calibrate, evaluate):
    labelled()
    calibrate()
    suite([f"question {number} " for number in range(40)], toml=TOML)
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == 1
    assert "needs --baseline=replay:RUN" in text_of(result)


def test_a_reply_without_a_verdict_in_either_order_is_an_error(baseline, labelled, calibrate, evaluate, answering):
    labelled()
    calibrate()
    right = answering.answer

    def answer(body):
        reply = right(body)
        return Reply("I cannot decide.") if reply == "VERDICT: B" else reply

    answering.answer = answer
    result = evaluate("--baseline=replay:last", model="new")
    assert result.ret == 1
    assert "does not ship" in text_of(result)


def test_resume_with_another_baseline_is_another_run(baseline, evaluate, answering):
    evaluate("--baseline=replay:last", model="new")
    result = evaluate("--resume", "--baseline=replay:last", model="new")
    assert "no open run" in result.stderr.str() + result.stdout.str()


@pytest.mark.parametrize("gate", ["min = 0.5", 'metric = "win_rate"\nmax = 0.5', 'metric = "latency_p50"\nmax = 5'])
def test_gates_that_are_not_about_the_win_rate_are_refused(suite, evaluate, server, gate):
    suite(QUESTIONS, toml=TOML.partition("[[gates]]")[0] + f"[[gates]]\n{gate}\n")
    result = evaluate()
    assert result.ret != 0
    assert "win" in result.stderr.str()
    assert not server.questions


@pytest.mark.parametrize("change", [{"human": "tie"}, {"human": "good"}, {"baseline": None}])
def test_labelled_pairs_have_a_baseline_and_a_preference(baseline, labelled, calibrate, pytester, change):
    labelled()
    path = pytester.path / "eval_sets" / "tickets.calibration.jsonl"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest]) + "\n")
    result = calibrate()
    assert result.exit_code == 2
    assert "tickets.calibration.jsonl:1" in result.output
