from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.records import Message, ToolCall
from pytest_finetune.verdicts.evalset.formats import CaseReader
from pytest_finetune.verdicts.evalset.reading import Faults

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case

SYSTEM, USER = {"role": "system", "content": "Sort."}, {"role": "user", "content": "it crashed"}
ANSWER = {"role": "assistant", "content": "bug"}
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"city": "Oslo"}'}}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


def read(value: Any) -> Case:
    faults = Faults("set.jsonl")
    case = CaseReader(faults).read(1, value)
    assert not faults.found
    assert case is not None
    return case


def faults_of(value: Any) -> list[tuple[str, str]]:
    faults = Faults("set.jsonl")
    assert CaseReader(faults).read(1, value) is None
    return [(fault.problem, fault.hint) for fault in faults.found]


def fault_of(value: Any) -> tuple[str, str]:
    (fault,) = faults_of(value)
    return fault


SAME = [
    {"messages": [SYSTEM, USER, ANSWER]},
    {"system": "Sort.", "input": "it crashed", "expected": "bug"},
    {"system_prompt": "Sort.", "input": "it crashed", "output": "bug"},
    {"input": [SYSTEM, USER], "ideal": "bug"},
    {"input": [SYSTEM, USER], "ideal": ["bug"]},
    {"input": [SYSTEM, USER], "target": "bug"},
    {"input": [SYSTEM, USER], "expected_output": "bug"},
]


@pytest.mark.parametrize("value", SAME, ids="+".join)
def test_every_shape_gives_the_same_case(value: Any) -> None:
    case = read(value)
    assert case.messages == (Message("system", "Sort."), Message("user", "it crashed"))
    assert case.expected == ("bug",)


def test_the_same_case_has_one_id_in_every_shape() -> None:
    assert len({read(value).id for value in SAME}) == 1


@pytest.mark.parametrize("answer", ["expected", "output", "ideal", "target", "expected_output"])
def test_text_input_is_a_user_message_and_needs_no_system_prompt(answer: str) -> None:
    case = read({"input": "hi", answer: "yes"})
    assert (case.messages, case.expected) == ((Message("user", "hi"),), ("yes",))


@pytest.mark.parametrize("answer", ["expected", "output", "ideal", "target", "expected_output"])
def test_any_answer_of_a_list_is_accepted(answer: str) -> None:
    assert read({"input": "hi", answer: ["a", "b"]}).expected == ("a", "b")


@pytest.mark.parametrize("value", [{"a": None}, 3, 2.5, True])
def test_a_json_value_is_kept_as_a_value(value: Any) -> None:
    assert read({"input": "hi", "expected": value}).expected == (value,)


def test_a_list_as_expected_value_is_nested_in_a_list() -> None:
    assert read({"input": "hi", "expected": [[1, 2]]}).expected == ([1, 2],)


def test_a_plain_line_may_have_no_expected_answer() -> None:
    assert read({"system": "Sort.", "input": "hi"}).expected == ()


@pytest.mark.parametrize(("value", "found"), [(None, "null"), ([], "an empty list")])
def test_an_empty_expected_list_is_a_fault(value: Any, found: str) -> None:
    problem, hint = fault_of({"input": "hi", "expected": value})
    assert problem == f"expected is {found}"
    assert "[null]" in hint


def test_weight_is_left_out_of_the_prompt() -> None:
    case = read({"messages": [USER, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1}]})
    assert case.messages == (Message("user", "it crashed"), Message("assistant", "bug"), Message("user", "it crashed"))
    assert case.expected == ("bug",)


@pytest.mark.parametrize("weight", [2, 0.5, True, "0.5"])
def test_a_weight_is_zero_or_one(weight: Any) -> None:
    problem, hint = fault_of({"messages": [USER, {**ANSWER, "weight": weight}]})
    assert (problem, hint) == (f"messages[1]: the weight is {json.dumps(weight)}", "a weight is 0 or 1")


def test_a_weight_in_quotes_is_shown_as_such() -> None:
    fault = fault_of({"messages": [USER, {**ANSWER, "weight": "1"}]})
    assert fault == ('messages[1]: the weight is "1"', "write it without quotes")


def test_expected_tool_calls_are_read() -> None:
    case = read({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}], "tools": [TOOL]})
    assert case.tool_calls == (ToolCall("find", '{"city": "Oslo"}'),)
    assert (case.expected, case.tools) == ((), (TOOL,))


def test_empty_text_next_to_tool_calls_expects_no_text() -> None:
    assert read({"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}]}).expected == ()


def test_earlier_calls_and_results_stay_in_the_prompt() -> None:
    calling = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    answering = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}
    case = read({"messages": [USER, calling, answering, ANSWER]})
    assert [message.to_wire() for message in case.messages] == [USER, calling, answering]


def test_content_parts_are_kept_unchanged_in_the_prompt() -> None:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    case = read({"messages": [{"role": "user", "content": parts}, ANSWER]})
    assert case.messages[0].to_wire() == {"role": "user", "content": parts}


def test_text_parts_of_the_expected_answer_are_joined() -> None:
    parts = [{"type": "text", "text": "b"}, {"type": "text", "text": "ug"}]
    assert read({"messages": [USER, {"role": "assistant", "content": parts}]}).expected == ("bug",)


def test_keys_that_are_null_count_as_left_out() -> None:
    value = {"id": None, "tags": None, "metadata": None, "tools": None, "messages": [{**USER, "name": None}, ANSWER]}
    assert read(value).messages == (Message("user", "it crashed"),)


def test_tools_and_system_prompts_are_shared_between_cases() -> None:
    reader = CaseReader(Faults("set.jsonl"))
    lines = [json.loads(json.dumps({"messages": [SYSTEM, USER, ANSWER], "tools": [TOOL], "id": name})) for name in "ab"]
    first, second = (reader.read(number, line) for number, line in enumerate(lines))
    assert first is not None
    assert second is not None
    assert first.tools is second.tools
    assert first.messages[0] is second.messages[0]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"mesages": [USER, ANSWER]}, "did you mean 'messages'?"),
        ({"imput": "a"}, "did you mean 'input'?"),
        ({"question": "a", "answer": "b"}, None),
        ({}, None),
        ({"id": "x", "tags": []}, None),
    ],
)
def test_the_error_for_an_unknown_shape_names_the_keys(value: Any, hint: str | None) -> None:
    problem, found = fault_of(value)
    assert problem == f"unknown shape; its keys: {', '.join(map(repr, value)) or 'none'}"
    assert found == hint if hint else found.startswith("write ")


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"messages": [USER, ANSWER], "ideal": "bug"}, "'messages' and 'ideal'"),
        ({"messages": [USER, ANSWER], "input": "a"}, "'messages' and 'input'"),
        ({"input": "a", "expected": "b", "target": "b"}, "'expected' and 'target'"),
    ],
)
def test_a_line_of_two_shapes_is_a_fault(value: Any, seen: str) -> None:
    assert fault_of(value)[0] == f"two shapes at once: {seen}"


@pytest.mark.parametrize(
    ("value", "key", "hint"),
    [
        ({"input": "a", "expcted": "b"}, "expcted", "did you mean 'expected'?"),
        ({"input": "a", "expected": "b", "tag": ["x"]}, "tag", "did you mean 'tags'?"),
        ({"input": "a", "output": "b", "system": "s"}, "system", "did you mean 'system_prompt'?"),
        ({"messages": [USER, ANSWER], "tool": []}, "tool", "did you mean 'tools'?"),
        (
            {"messages": [USER, ANSWER], "functions": []},
            "functions",
            "write them as tools, the form that replaced functions",
        ),
    ],
)
def test_an_unknown_key_is_a_fault(value: Any, key: str, hint: str | None) -> None:
    assert fault_of(value) == (f"unknown key {key!r}", hint)


@pytest.mark.parametrize(
    ("messages", "problem", "hint"),
    [
        ([{"role": "usr", "content": "a"}, ANSWER], "messages[0] has the unknown role 'usr'", "did you mean 'user'?"),
        ([{"content": "a"}, ANSWER], "messages[0] has no role", None),
        ([{"role": ["user"], "content": "a"}, ANSWER], "messages[0] has the unknown role ['user']", None),
        (["a", ANSWER], "messages[0] is a string, not a message", None),
        ([{"role": "user"}, ANSWER], "messages[0] has no content", None),
        ([{"role": "user", "content": None}, ANSWER], "messages[0] has no content", None),
        ([{"role": "user", "content": {"a": 1}}, ANSWER], "messages[0].content is an object, not text", None),
        ([{"role": "user", "content": []}, ANSWER], "messages[0].content is an empty list", None),
        ([{"role": "user", "content": ["a"]}, ANSWER], "messages[0].content[0] is not a content part", None),
        ([{"role": "user", "content": [{"type": "text"}]}, ANSWER], "messages[0].content[0] has no text", None),
        (
            [{**USER, "contnt": "a"}, ANSWER],
            "unknown key 'contnt' in messages[0]",
            "remove it: 'content' is there already",
        ),
        ([{**USER, "weight": 1}, ANSWER], "unknown key 'weight' in messages[0]", None),
        ([{**USER, "name": 3}, ANSWER], "messages[0].name is a number, not text", None),
        ([{"role": "tool", "content": "a"}, ANSWER], "messages[0] has no tool_call_id", None),
        ([USER], "the last message is of role 'user', and no answer is expected", None),
        ([ANSWER], "no prompt: the answer is the only message", None),
        ([], "messages is an empty list", None),
        ({}, "messages is an object", None),
        ([USER, {"role": "assistant"}], "messages[1] has no content", None),
        ([USER, {"role": "assistant", "content": None, "refusal": "no"}], "messages[1] expects a refusal", None),
        (
            [USER, {"role": "assistant", "content": None, "function_call": {}, "tool_calls": [CALL]}],
            "unknown key 'function_call' in messages[1]",
            "write it as tool_calls, the form that replaced function_call",
        ),
        ([USER, {**ANSWER, "tool_calls": []}], "messages[1].tool_calls is an empty list", None),
        ([USER, {**ANSWER, "tool_calls": ["a"]}], "messages[1].tool_calls[0] is not a function call", None),
        (
            [USER, {**ANSWER, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}],
            "messages[1].tool_calls[0].function.arguments is not text",
            None,
        ),
        (
            [USER, {**ANSWER, "tool_calls": [{"function": {"arguments": "{}"}}]}],
            "messages[1].tool_calls[0].function has no name",
            None,
        ),
        (
            [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
            "messages[1] holds a part of type 'refusal'",
            None,
        ),
    ],
)
def test_a_faulty_message_is_named_by_its_index(messages: Any, problem: str, hint: str | None) -> None:
    found, found_hint = fault_of({"messages": messages})
    assert found == problem
    assert found_hint
    if hint:
        assert found_hint == hint


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"input": 3, "expected": "a"}, "input is a number"),
        ({"expected": "a"}, "input is not there"),
        ({"input": [], "expected": "a"}, "input is an empty list"),
        ({"input": "a", "expected": "b", "system": 3}, "system is a number, not text"),
        ({"input": [USER, ANSWER], "ideal": "bug"}, "input ends with the assistant's answer"),
        (
            {"input": [SYSTEM, USER], "system": "x", "expected": "b"},
            "two system prompts: in 'system' and in input",
        ),
        ({"messages": [USER, ANSWER], "tools": {}}, "tools is an object, not a list"),
        ({"messages": [USER, ANSWER], "tools": ["f"]}, "tools[0] is not a tool"),
        ({"messages": [USER, ANSWER], "tools": [{"type": "function"}]}, "tools[0].function has no name"),
        ({"input": "a", "expected": "b", "tags": "en"}, "tags is not a list of printable words"),
        ({"input": "a", "expected": "b", "tags": [1]}, "tags is not a list of printable words"),
        ({"input": "a", "expected": "b", "tags": ["a\nb"]}, "tags is not a list of printable words"),
        ({"input": "a", "expected": "b", "metadata": []}, "metadata is an array"),
        ({"input": "a", "expected": "b", "id": 1.5}, "id is a number"),
        ({"input": "a", "expected": "b", "id": True}, "id is a boolean"),
        ({"input": "a", "expected": "b", "id": ""}, "id '' is empty"),
        ({"input": "a", "expected": "b", "id": " a"}, "id ' a' begins or ends with a blank"),
        ({"input": "a", "expected": "b", "id": "a\nb"}, "id 'a\\nb' holds a character that cannot be printed"),
        (
            {"input": "a", "expected": "b", "id": "a\x1b[31m"},
            "id 'a\\x1b[31m' holds a character that cannot be printed",
        ),
        ({"input": "a", "expected": "b", "id": "a::b"}, "id 'a::b' holds '::', which parts the names of tests"),
        ({"input": "a", "expected": "b", "id": "a" * 201}, f"id '{'a' * 39}…' is longer than 200 characters"),
    ],
)
def test_a_faulty_key_is_reported_with_a_remedy(value: Any, problem: str) -> None:
    found, hint = fault_of(value)
    assert found == problem
    assert hint


@pytest.mark.parametrize(
    ("own", "name"), [("fb-001", "fb-001"), (7, "7"), ("a b[c]/<é>", "a b[c]/<é>"), ("x" * 200, "x" * 200)]
)
def test_a_case_is_named_by_its_own_id(own: Any, name: str) -> None:
    assert read({"input": "a", "expected": "b", "id": own}).id == name


def test_several_faults_of_one_line_are_reported_together() -> None:
    value = {"id": "a::b", "tags": "en", "messages": [{"role": "usr", "content": "a"}, "b", ANSWER], "tools": 1}
    assert len(faults_of(value)) == 5


def test_an_id_made_from_content_ignores_key_order_tags_and_metadata() -> None:
    first = read({"input": "a", "expected": {"x": 1, "y": 2}})
    second = read({"tags": ["t"], "metadata": {"m": 1}, "expected": {"y": 2, "x": 1}, "input": "a"})
    assert first.id == second.id
    assert len(first.id) == 12


@pytest.mark.parametrize("other", [{"input": "b", "expected": "b"}, {"input": "a", "expected": "c"}, {"input": "a"}])
def test_an_id_made_from_content_changes_with_prompt_and_expected_answer(other: Any) -> None:
    assert read(other).id != read({"input": "a", "expected": "b"}).id


def test_tags_and_metadata_are_read() -> None:
    case = read({"input": "a", "expected": "b", "tags": ["en", "edge", "en"], "metadata": {"source": 1}})
    assert (case.tags, case.metadata) == (("en", "edge"), {"source": 1})
