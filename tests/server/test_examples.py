"""Training examples are read like requests to the server; unusable ones are refused at their line."""

from __future__ import annotations

import json

import pytest

from pytest_finetune.server.trainer.examples import read_examples

USER = {"role": "user", "content": "a"}
ANSWER = {"role": "assistant", "content": "b"}


def read(*rows):
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    conversations, faults = read_examples(data, "train.jsonl")
    return conversations, [str(fault) for fault in faults.found]


def test_only_assistant_messages_are_trained_on():
    (conversation,), faults = read({"messages": [{"role": "system", "content": "s"}, USER, ANSWER]})
    assert faults == []
    assert [(turn.role, turn.learned) for turn in conversation.turns] == [
        ("system", False),
        ("user", False),
        ("assistant", True),
    ]


def test_a_message_of_weight_zero_is_not_trained_on():
    (conversation,), _ = read({"messages": [USER, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1}]})
    assert [turn.learned for turn in conversation.turns] == [False, False, False, True]


def test_a_developer_message_is_a_system_message():
    (conversation,), _ = read({"messages": [{"role": "developer", "content": "s"}, USER, ANSWER]})
    assert conversation.turns[0].role == "system"


def test_text_parts_are_joined_as_on_the_server():
    parts = [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]
    (conversation,), _ = read({"messages": [{"role": "user", "content": parts}, ANSWER]})
    assert conversation.turns[0].content == "x\ny"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"messages": [USER]}, "there is nothing to learn"),
        ({"messages": [USER, {**ANSWER, "weight": 0}]}, "there is nothing to learn"),
        ({"messages": [USER, ANSWER, USER]}, "the last message is by the user"),
        ({"messages": [USER, {**ANSWER, "content": ""}]}, "an empty answer"),
        ({"messages": [USER, {**ANSWER, "content": 7}]}, "is a number, not text"),
        ({"messages": [{"role": "robot", "content": "x"}, ANSWER]}, "unknown role 'robot'"),
        ({"messages": []}, "no list of messages"),
        ({"prompt": "a", "completion": "b"}, "no list of messages"),
        ({"messages": [USER, ANSWER], "tools": []}, "unknown key 'tools'"),
        ({"messages": [USER, {"role": "tool", "content": "x", "tool_call_id": "1"}, ANSWER]}, "uses tools"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, ANSWER]},
            "has content that is not text",
        ),
    ],
)
def test_an_unusable_example_is_refused_at_its_line(row, problem):
    conversations, faults = read({"messages": [USER, ANSWER]}, row)
    assert [conversation.line for conversation in conversations] == [1]
    assert any(fault.startswith("train.jsonl:2: ") and problem in fault for fault in faults)
