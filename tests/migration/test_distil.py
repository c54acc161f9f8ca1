"""`migrate distil`: complete answers that passed become training data, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Reply, ScriptedServer, error

from pytest_finetune import evaluate
from pytest_finetune.cli import main

TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}
CALL = {"id": "x1", "type": "function", "function": {"name": "book", "arguments": '{"to": "Oslo"}'}}
REPLIES = {
    "cut": Reply("billing", finish_reason="length"),
    "refuse": Reply(message={"content": None, "refusal": "I cannot help with that."}),
    "fail": error(400, "no"),
    "wrong": "delivery",
    "call": Reply(message={"content": None, "tool_calls": [CALL]}, finish_reason="tool_calls"),
}


def answer(body):
    word = body["messages"][-1]["content"].split()[-1]
    return REPLIES.get(word, "billing")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    return tmp_path


def record(*asked, name="prompts/log", toml="", rows=None, repeats=None):
    path = Path(f"{name}.jsonl")
    path.parent.mkdir(exist_ok=True)
    rows = rows or [
        {
            "id": f"c{n}",
            "messages": [
                {"role": "system", "content": "Route."},
                {"role": "user", "content": f"{n} {word}"},
                {"role": "assistant", "content": "billing"},
            ],
        }
        for n, word in enumerate(asked)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path.with_suffix(".toml").write_text(f"max_errors = 9\n{toml}", "utf-8")
    with ScriptedServer(answer) as server:
        return evaluate(path, model="old", base_url=server.url, repeats=repeats)


def distil(*words, code=1):
    """By default the check fails: OpenAI requires ten examples."""
    result = CliRunner().invoke(main, ["migrate", "distil", "last", "train.jsonl", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output


def written():
    return [json.loads(line) for line in Path("train.jsonl").read_text("utf-8").splitlines()]


def test_complete_answers_that_passed_become_examples():
    record("one", "cut", "refuse", "fail", "wrong", "two")
    output = distil()
    assert written() == [
        {
            "messages": [
                {"role": "system", "content": "Route."},
                {"role": "user", "content": f"{n} {word}"},
                {"role": "assistant", "content": "billing"},
            ]
        }
        for n, word in ((0, "one"), (5, "two"))
    ]
    assert output.splitlines()[:2] == [
        "2 examples written to train.jsonl",
        "left out: 1 cut off, 1 refused, 1 no answer, 1 missed",
    ]


def test_missed_answers_are_taken_on_demand_as_the_model_gave_them():
    record("one", "wrong")
    distil("--missed")
    assert [row["messages"][-1]["content"] for row in written()] == ["billing", "delivery"]


def test_calls_and_tools_are_kept():
    row = {"messages": [{"role": "user", "content": "please call"}, {"role": "assistant", "tool_calls": [CALL]}]}
    record(rows=[row | {"tools": [TOOL]}], toml='scorer = "tool_call"\n')
    distil()
    (example,) = written()
    assert example["tools"] == [TOOL]
    assert example["messages"][-1] == {"role": "assistant", "content": None, "tool_calls": [CALL | {"id": "call_0"}]}


def test_the_tools_of_the_settings_are_kept_too():
    row = {"messages": [{"role": "user", "content": "please call"}, {"role": "assistant", "tool_calls": [CALL]}]}
    tool = '[[request.tools]]\ntype = "function"\nfunction = {name = "book", parameters = {type = "object"}}\n'
    record(rows=[row], toml=f'scorer = "tool_call"\n{tool}')
    distil()
    assert written()[0]["tools"] == [TOOL]


def test_cases_of_the_projects_eval_sets_are_refused():
    record("one", name="eval_sets/tickets")
    output = distil(code=2)
    assert "eval_sets/tickets.jsonl: an eval set of this project" in output
    assert not Path("train.jsonl").exists()
    distil("--eval-cases")
    assert len(written()) == 1


def test_an_eval_case_among_the_prompts_is_an_error_of_the_check():
    record("one", name="eval_sets/tickets")
    record("one", "two")
    assert "eval_in_training" in distil(code=1)


def test_without_a_usable_answer_nothing_is_written():
    record("wrong", "fail")
    output = distil(code=2)
    assert "no answer can be used: 1 missed, 1 no answer" in output
    assert not Path("train.jsonl").exists()


def test_an_existing_file_is_kept_unless_forced():
    record("one")
    Path("train.jsonl").write_text("mine\n", "utf-8")
    distil(code=2)
    assert Path("train.jsonl").read_text("utf-8") == "mine\n"
    distil("--force")
    assert len(written()) == 1


def test_the_result_is_json_for_programs():
    record("one", "wrong")
    found = json.loads(distil("--json"))
    assert (found["examples"], found["left_out"]) == (1, {"missed": 1})


def test_enough_examples_pass_the_check():
    record(*(f"order {n * 7919} is late, bill {n * 104_729}" for n in range(12)))
    assert "12 examples written to train.jsonl" in distil(code=0)


def test_of_repeats_the_first_usable_answer_is_taken():
    record("one", "two", repeats=3)
    distil()
    assert len(written()) == 2
