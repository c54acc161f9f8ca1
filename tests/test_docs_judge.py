"""The examples of docs/judge.md: settings, prompt, labelled answers and outputs are what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_judge import polite, write_labelled

from pytest_finetune.base.records import Completion
from pytest_finetune.cli import main
from pytest_finetune.verdicts.calibration import read_labelled
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.metrics.calibration import FEWEST

PAGE = (Path(__file__).parents[1] / "docs" / "judge.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def block(language, containing):
    return next(text for name, text in BLOCKS if name == language and containing in text)


@pytest.fixture
def replies(pytester):
    folder = pytester.path / "eval_sets"
    folder.mkdir()
    (folder / "replies.toml").write_text(block("toml", "rubric"), "utf-8")
    rows = [f"please {n}" for n in range(33)] + [f"go {n}" for n in range(7)]
    lines = [json.dumps({"input": row}) + "\n" for row in rows]
    (folder / "replies.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def answering(server):
    def answer(body):
        is_judge = body["model"].startswith("gpt-4.1")
        return polite({**body, "model": "judge"} if is_judge else body)

    server.answer = answer
    return server


def test_the_prompt_is_the_one_on_the_page(replies):
    (eval_set,) = load_eval_sets([replies / "replies.jsonl"], root=replies.parent)
    scorer = eval_set.scorer
    (request,) = scorer.questions(eval_set.cases[0], Completion("yes"), scorer.asks.spec)
    assert request.messages[0].content + "\n" == block("text", "You grade")


def test_the_labelled_answers_can_be_read(replies):
    path = replies / "replies.calibration.jsonl"
    path.write_text(block("json", '"human"'), "utf-8")
    (eval_set,) = load_eval_sets([replies / "replies.jsonl"], root=replies.parent)
    assert [case.passes for case in read_labelled(path, eval_set.scorer)] == [True, False]
    assert f"at least {FEWEST} answers" in PAGE


def test_the_settings_of_a_comparison_and_its_labelled_pairs_can_be_read(replies):
    (replies / "replies.toml").write_text(block("toml", '"preference"'), "utf-8")
    path = replies / "replies.calibration.jsonl"
    path.write_text(block("json", '"baseline"'), "utf-8")
    (eval_set,) = load_eval_sets([replies / "replies.jsonl"], root=replies.parent)
    (pair,) = read_labelled(path, eval_set.scorer)
    assert (pair.passes, pair.baseline.text) == (True, "It is in transit.")


def test_the_output_of_the_command_and_the_gate_are_those_on_the_page(replies, answering, evaluate):
    write_labelled(replies.parent).rename(replies / "replies.calibration.jsonl")
    prompt, _, printed = block("console", "gates calibrate").partition("\n")
    words = prompt.removeprefix("$ pytest-finetune ").split()
    result = CliRunner().invoke(main, [*words, f"--base-url={answering.url}"], catch_exceptions=False)
    assert result.output == printed
    message = " ".join(evaluate(model="ft:replies").stdout.str().split())
    assert block("text", "corrected:").strip() in message
