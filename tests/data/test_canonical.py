"""Rows that mean the same are equal, whatever their spelling; rows that differ in what is learned are not."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.lifecycle.data.canonical import example_of_row
from pytest_finetune.verdicts.shapes import read_row

WORDS = st.text("abc xyz", min_size=1).filter(str.strip)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(WORDS, VALUES, max_size=4)
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}


def ids(row, shape=""):
    example = example_of_row("rows.jsonl", 1, read_row(row, shape))
    return example.prompt_id, example.answer_id, example.row_id


def call(name, arguments):
    return {"id": name, "type": "function", "function": {"name": "find", "arguments": arguments}}


def tool_row(names, arguments, *, indent=None, sort=False, content=...):
    """Two calls, their results, and an answer in JSON."""
    written = json.dumps(arguments, indent=indent, sort_keys=sort)
    first, second = names
    message = {"role": "assistant", "tool_calls": [call(first, written), call(second, "{}")]}
    return {
        "messages": [
            {"role": "user", "content": "where is it"},
            message if content is ... else message | {"content": content},
            {"role": "tool", "tool_call_id": second, "content": "none"},
            {"role": "tool", "tool_call_id": first, "content": written},
            {"role": "assistant", "content": written},
        ],
        "tools": [TOOL],
    }


NAMES = st.lists(WORDS, min_size=2, max_size=2, unique=True)


@given(first=NAMES, second=NAMES, arguments=ARGUMENTS, content=st.sampled_from([..., None, "", []]))
def test_call_ids_layout_key_order_and_null_make_no_difference(first, second, arguments, content):
    shuffled = dict(reversed(arguments.items()))
    one = tool_row(first, arguments)
    other = tool_row(second, shuffled, indent=2, sort=True, content=content)
    other["messages"] = [dict(reversed(message.items())) | {"name": None} for message in other["messages"]]
    assert ids(one) == ids(dict(reversed(other.items())))


@given(arguments=ARGUMENTS, others=ARGUMENTS)
def test_other_arguments_are_another_answer(arguments, others):
    one, other = (
        {
            "messages": [
                {"role": "user", "content": "?"},
                {"role": "assistant", "tool_calls": [call("a", json.dumps(each))]},
            ]
        }
        for each in (arguments, others)
    )
    (prompt, answered, row), (prompt_too, answered_too, row_too) = ids(one), ids(other)
    assert prompt == prompt_too
    assert (answered == answered_too) == (row == row_too) == (arguments == others)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_text_parts_are_joined(texts):
    def row(content):
        return {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "yes"}]}

    assert ids(row("".join(texts))) == ids(row([{"type": "text", "text": text} for text in texts]))


@given(value=st.dictionaries(WORDS, VALUES, min_size=1, max_size=3))
def test_one_row_is_equal_in_every_shape(value):
    tools = [{"name": "find", "parameters": TOOL["function"]["parameters"]}]
    arguments = json.dumps(value)
    chat = {
        "messages": [
            {"role": "user", "content": "find it"},
            {"role": "assistant", "tool_calls": [call("a", arguments)]},
        ]
    }
    shapes = [
        chat | {"tools": [TOOL]},
        {
            "messages": [
                {"role": "user", "content": "find it"},
                {"role": "assistant", "content": None, "function_call": {"name": "find", "arguments": arguments}},
            ],
            "functions": tools,
        },
        {
            "query": "find it",
            "tools": json.dumps(tools),
            "answers": json.dumps([{"name": "find", "arguments": value}], indent=1),
        },
        {
            "conversations": [
                {"from": "human", "value": "find it"},
                {"from": "function_call", "value": json.dumps({"name": "find", "arguments": value})},
            ],
            "tools": json.dumps(tools),
        },
        {"prompt": "find it", "completion": chat["messages"][1:], "tools": [TOOL]},
    ]
    assert len({ids(row) for row in shapes}) == 1


def answered(answer, prompt="is it open"):
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", **answer}]}


PAIRS = {
    "refusals": ({"refusal": "I cannot say."}, {"refusal": "Ask a lawyer."}),
    "a refusal and an answer": ({"refusal": "No."}, {"content": "No."}),
    "weights": ({"content": "yes", "weight": 0}, {"content": "yes", "weight": 1}),
    "indentation": ({"content": "if a:\n    b()\nc()"}, {"content": "if a:\n    b()\n    c()"}),
    "a number and its text": ({"content": '{"a": 1}'}, {"content": '{"a": "1"}'}),
    "true and one": ({"content": '{"a": true}'}, {"content": '{"a": 1}'}),
    "the order of a list": ({"content": "[1, 2]"}, {"content": "[2, 1]"}),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_rows_with_other_answers_differ(one, other):
    assert ids(answered(one))[2] != ids(answered(other))[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"content": "yes", "weight": 1}, {"content": "yes"}),
        ({"content": "yes", "weight": None}, {"content": "yes"}),
        ({"content": '{"a": 1.0, "b": [ ]}'}, {"content": '{"b":[],"a":1}'}),
        ({"content": "yes", "refusal": None, "tool_calls": None}, {"content": "yes"}),
    ],
)
def test_rows_with_the_same_answer_are_equal(one, other):
    assert ids(answered(one)) == ids(answered(other))


def image(url, **more):
    return {"type": "image_url", "image_url": {"url": url, **more}}


def test_pictures_are_part_of_the_prompt():
    def row(*parts):
        return {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "what is shown"}, *parts]},
                {"role": "assistant", "content": "a lamp"},
            ]
        }

    lamp = row(image("https://example.com/lamp.png"))
    assert ids(lamp) == ids(row(image("https://example.com/lamp.png", detail="auto")))
    others = [
        row(),
        row(image("https://example.com/cup.png")),
        row(image("https://example.com/lamp.png", detail="high")),
        row(image("https://example.com/lamp.png"), image("https://example.com/cup.png")),
        row({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    ]
    assert len({ids(each)[0] for each in (lamp, *others)}) == 6


@given(st.permutations(["system", "developer"]))
def test_developer_is_the_newer_name_of_system(roles):
    rows = [
        {
            "messages": [
                {"role": role, "content": "Be brief."},
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hello"},
            ]
        }
        for role in roles
    ]
    assert ids(rows[0]) == ids(rows[1])


def test_a_weight_of_an_earlier_answer_is_kept():
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    unlearned = deepcopy(turns)
    unlearned[1]["weight"] = 0
    one, other = ids({"messages": turns}), ids({"messages": unlearned})
    assert one[:2] == other[:2]
    assert one[2] != other[2]


def test_the_answer_that_is_not_preferred_is_part_of_a_row():
    def row(chosen, rejected):
        return {"prompt": "hi", "chosen": chosen, "rejected": rejected}

    assert ids(row("hello", "go away"))[2] != ids(row("hello", "no"))[2]


def test_two_pairs_of_answers_have_the_same_prompt_only_if_their_answers_are_the_same():
    pairs = [("hello", "go away"), ("go away", "hello"), ("hello", "no")]
    one, other, third = (ids({"prompt": "hi", "chosen": good, "rejected": bad}) for good, bad in pairs)
    assert one[0] == other[0] != third[0]
    assert one[1] != other[1]
