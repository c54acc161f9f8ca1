"""Check, fix and split compare rows by meaning: spelling makes no difference, but pictures, weights and refusals do."""

from __future__ import annotations

import json
import random

import pytest
from planted_faults import clean_rows, lines, picture, sentence

from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.fix import write_fixed
from pytest_finetune.lifecycle.data.split import SplitOptions
from pytest_finetune.lifecycle.data.split_files import split_file

TOOL = {"type": "function", "function": {"name": "route", "parameters": {"type": "object"}}}


def call_row(seed, question, arguments, *, indent=None, result="ok"):
    """A row of an API log: call ids are random, and the layout of arguments is the library's."""
    name = f"call_{random.Random(seed).getrandbits(64):x}"
    written = json.dumps(arguments, indent=indent)
    call = {"id": name, "type": "function", "function": {"name": "route", "arguments": written}}
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": None if seed % 2 else "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": name, "content": result},
            {"role": "assistant", "content": "Done."},
        ],
        "tools": [TOOL],
    }


def codes(folder, rows, **files):
    (folder / "train.jsonl").write_bytes(lines(rows))
    named = {}
    for name, others in files.items():
        (folder / f"{name}.jsonl").write_bytes(lines(others))
        named[name] = [folder / f"{name}.jsonl"]
    return check([folder / "train.jsonl"], root=folder, **named).by_code


def test_one_call_in_another_spelling_is_a_duplicate_and_no_conflict(tmp_path):
    same = [call_row(seed, "Send it north", {"to": "Narvik", "by": "rail"}, indent=seed % 3) for seed in range(6)]
    found = codes(tmp_path, [*clean_rows(), *same])
    assert found["duplicate"] == 5
    assert "conflicting_answers" not in found
    done = write_fixed(tmp_path / "train.jsonl", tmp_path / "fixed.jsonl")
    assert (done.written, done.dropped) == (121, {"duplicate": 5})


def test_another_call_after_the_same_turns_is_a_conflict(tmp_path):
    rows = [call_row(seed, "Send it north", {"to": "Narvik"}) for seed in (1, 2)]
    rows[1]["messages"][-1]["content"] = "Sorry, that failed."
    found = codes(tmp_path, [*clean_rows(), *rows])
    assert (found["conflicting_answers"], found.get("duplicate", 0)) == (1, 0)


def answered(**answer):
    return {"messages": [{"role": "user", "content": "May I keep it?"}, {"role": "assistant", **answer}]}


@pytest.mark.parametrize(
    "rows",
    [
        [answered(refusal="I cannot advise on this."), answered(refusal="Please ask the shop.")],
        [answered(content="Yes.", weight=0), answered(content="Yes.", weight=1)],
        [answered(content="Yes.", weight=1), answered(content="Yes.", weight=0)],
        [answered(content="if kept:\n    pay()"), answered(content="if kept:\npay()")],
        [answered(content="Yes."), answered(content="yes")],
    ],
    ids=["refusals", "learned second", "learned first", "indentation", "case"],
)
def test_fix_keeps_rows_that_differ(rows, tmp_path):
    source = tmp_path / "train.jsonl"
    source.write_bytes(lines(rows))
    assert write_fixed(source, tmp_path / "fixed.jsonl").written == 2
    assert (tmp_path / "fixed.jsonl").read_bytes() == source.read_bytes()


def test_an_answer_of_weight_zero_conflicts_with_nothing(tmp_path):
    rows = [answered(content="No.", weight=0), answered(content="Yes.")]
    assert "conflicting_answers" not in codes(tmp_path, [*clean_rows(), *rows])
    assert codes(tmp_path, [*clean_rows(), answered(content="No."), rows[1]])["conflicting_answers"] == 1


def pictured(number, question="Which chart is this, and what does it show?"):
    content = [{"type": "text", "text": question}, picture(number)]
    return {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": f"chart {number}"}]}


def test_the_same_question_about_other_pictures_is_no_leak_and_no_duplicate(tmp_path):
    found = codes(
        tmp_path, [pictured(number) for number in range(40)], evals=[pictured(number) for number in range(50, 60)]
    )
    for code in ("eval_in_training", "near_eval_in_training", "near_duplicate", "duplicate", "conflicting_answers"):
        assert code not in found
    leaked = codes(
        tmp_path, [pictured(number) for number in range(40)], evals=[pictured(number) for number in range(36, 44)]
    )
    assert leaked["eval_in_training"] == 4


def test_a_changed_word_about_the_same_picture_is_a_near_duplicate(tmp_path):
    rows = [pictured(1), pictured(1, "Which chart is this and what does it show us?"), pictured(2)]
    assert codes(tmp_path, rows)["near_duplicate"] == 1


def split(tmp_path, rows, **options):
    source = tmp_path / "data.jsonl"
    source.write_bytes(lines(rows))
    targets = {side: tmp_path / f"{side}.jsonl" for side in ("train", "validation")}
    done = split_file(source, targets, SplitOptions(0.4, **options), force=True)
    parts = {
        side: [json.loads(line) for line in path.read_text("utf-8").splitlines()] for side, path in targets.items()
    }
    assert done.left_out.count == 0
    return parts


def test_rows_about_other_pictures_are_split(tmp_path):
    parts = split(tmp_path, [pictured(number) for number in range(40)])
    assert min(map(len, parts.values())) >= 8


SHAPED = {
    "chat": lambda question, answer: {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    },
    "parts": lambda question, answer: {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": question}]},
            {"role": "assistant", "content": answer},
        ]
    },
    "eval set": lambda question, answer: {"input": question, "expected": answer},
    "alpaca": lambda question, answer: {"instruction": question, "input": "", "output": answer},
    "alpaca with input": lambda question, answer: {"instruction": "Sort it.", "input": question, "output": answer},
    "sharegpt": lambda question, answer: {
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    },
    "xlam": lambda question, answer: {
        "query": question,
        "answers": json.dumps([{"name": "route", "arguments": {"to": answer}}]),
        "tools": "[]",
    },
    "prompt and completion": lambda question, answer: {"prompt": question, "completion": answer},
    "openai-preference": lambda question, answer: {
        "input": {"messages": [{"role": "user", "content": question}]},
        "preferred_output": [{"role": "assistant", "content": answer}],
        "non_preferred_output": [{"role": "assistant", "content": "no"}],
    },
    "trl-preference": lambda question, answer: {"prompt": question, "chosen": answer, "rejected": "no"},
    "implicit prompt": lambda question, answer: {
        name: [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        for name, text in (("chosen", answer), ("rejected", "no"))
    },
    "reinforcement": lambda question, answer: {
        "messages": [{"role": "user", "content": question}],
        "reference_answer": answer,
    },
    "reinforcement of TRL": lambda question, answer: {"prompt": question, "ground_truth": answer},
    "legacy functions": lambda question, answer: {
        "messages": [
            {"role": "user", "content": question},
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "route", "arguments": f'{{"a": "{answer}"}}'},
            },
        ],
        "functions": [TOOL["function"]],
    },
}


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("shape", SHAPED)
def test_equal_questions_are_on_one_side_in_every_shape(shape, near, tmp_path):
    shaped = SHAPED[shape]
    rows = [shaped(sentence(number // 3), f"answer {number}") for number in range(60)]
    parts = split(tmp_path, rows, near=near)
    questions = {
        side: {sentence(number) for number in range(20) if sentence(number) in json.dumps(part)}
        for side, part in parts.items()
    }
    assert questions["train"].isdisjoint(questions["validation"])
    assert len(questions["train"] | questions["validation"]) == 20
    assert min(map(len, questions.values())) >= 2


def test_split_and_check_agree_about_equal_questions(tmp_path):
    """The same question after other turns, with other system prompts and in two shapes."""
    rows = []
    for number in range(30):
        question = sentence(number)
        rows += [
            SHAPED["chat"](question, "a"),
            SHAPED["alpaca"](question.upper(), "b"),
            SHAPED["trl-preference"](question, "c"),
        ]
        rows[-3]["messages"].insert(0, {"role": "system", "content": sentence(1000 + number)})
        rows.append(call_row(number, question, {"to": number}, result=sentence(2000 + number)))
    split(tmp_path, rows)
    found = check([tmp_path / "train.jsonl"], validation=[tmp_path / "validation.jsonl"], root=tmp_path).by_code
    assert "validation_in_training" not in found
    assert found["other_shape"] >= 2
