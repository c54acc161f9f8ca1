"""Check, split and profile recognize the same labels."""

from __future__ import annotations

import json

import pytest

from pytest_finetune.lifecycle.data.answers import read_answer
from pytest_finetune.lifecycle.data.balance import Balance
from pytest_finetune.lifecycle.data.canonical import answer_text, example_of_row
from pytest_finetune.lifecycle.data.labels import Labels, choices
from pytest_finetune.verdicts.shapes.row import ChatRow


def chat(answer):
    return {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]}


def counted(answers, key=""):
    """How often each label occurs, as split and profile count and as the check does."""
    labels, balance = Labels(key), Balance("train.jsonl", None, key)
    for answer in answers:
        row = ChatRow("chat", chat(answer)["messages"])
        labels.add(answer_text(row))
        example = example_of_row("train.jsonl", 1, row)
        balance.add(example, read_answer(answer), lambda *_, **__: None)
    return labels.counts(), balance.label_counts() or {}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["bug"] * 4 + ["other"] * 2, {"bug": 4, "other": 2}),
        (["bug", "other"] * 2, {}),
        (["bug"] * 9, {}),
        (["bug", " bug "] * 3 + ["other", ""] * 3, {"bug": 6, "other": 3}),
        (["bug"] * 4 + ["other"] * 4 + ["x" * 101], {}),
        (["bug"] * 4 + ["other"] * 4 + ['{"a": 1}'], {}),
        (['{"a": 1}', '{"a": 2}'] * 5, {}),
        (["[bug]", "[other]"] * 5, {"[bug]": 5, "[other]": 5}),
        (["1", "2"] * 5, {"1": 5, "2": 5}),
    ],
)
def test_check_and_split_recognize_the_same_labels(answers, expected):
    assert counted(answers) == (expected, expected)


def test_check_and_split_read_the_same_label_from_json_answers():
    answers = [json.dumps({"team": team, "n": number}) for number, team in enumerate(["a", "a", "b", 1] * 3)]
    expected = {"a": 6, "b": 3, "1": 3}
    assert counted([*answers, "no JSON", '{"other": 1}'], "team") == (expected, expected)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {"team": {"enum": ["a", "b", 1]}}}, ("a", "b")),
        ({"oneOf": [{"properties": {"team": {"const": "a"}}}, {"properties": {"team": {"const": "b"}}}]}, ("a", "b")),
        ({"properties": {"team": {"type": "string"}}}, ()),
        ({"properties": {"team": True}}, ()),
        (True, ()),
    ],
)
def test_the_allowed_labels_of_a_key_are_read_from_the_schema(schema, expected):
    assert choices(schema, "team") == expected
