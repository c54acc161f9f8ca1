"""One fault is one line: nothing follows from another finding, null is absent, and equal faults are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from planted_faults import (
    TOOL,
    Plant,
    call,
    clean_rows,
    lines,
    replaced,
    row,
    sentence,
    tool_row,
    without_answer,
)

from pytest_finetune.base.errors import EvalSetErrors
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.verdicts.loading import load_eval_sets

PADDING = dict.fromkeys(("name", "tool_calls", "tool_call_id", "function_call", "refusal", "weight", "audio"))
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "shipped"}
DONE = {"role": "assistant", "content": "other"}


def codes(tmp_path, training):
    return check(**Plant("", training=training).write(tmp_path)).by_code


def padded(value):
    """A row as a table with all columns writes it: what is not there is null."""
    calls = [{**each, "index": None, "custom": None} for each in value["messages"][2].get("tool_calls", ())]
    messages = [PADDING | message for message in value["messages"]]
    if calls:
        messages[2] |= {"tool_calls": calls}
    tools = json.loads(json.dumps(value.get("tools")))
    for tool in tools or ():
        tool["function"] |= {"strict": None, "description": None}
        tool["function"]["parameters"]["properties"] |= {"colour": None}
        tool["function"]["parameters"] |= {"enum": None, "additionalProperties": None}
    columns = dict.fromkeys(("functions", "prompt", "images", "chosen", "expected", "input", "note"))
    return columns | value | {"messages": messages, "tools": tools, "parallel_tool_calls": None}


@pytest.mark.parametrize(
    "planted",
    [
        row(sentence(901), "other"),
        tool_row(call(), then=(ANSWERED, DONE)),
        {"messages": row([{"type": "text", "text": sentence(901), "image_url": None}], "other")["messages"]},
    ],
)
def test_null_is_absent_in_rows_messages_calls_and_tools(planted, tmp_path):
    assert codes(tmp_path, replaced({40: padded(planted)})) == {}
    path = tmp_path / "set.jsonl"
    path.write_bytes(lines([padded(planted)]))
    (loaded,) = load_eval_sets([path], root=tmp_path)
    assert "null" not in json.dumps([message.to_wire() for message in loaded.cases[0].messages if message.content])
    assert "null" not in json.dumps([*map(dict, loaded.cases[0].tools)])


def test_prepare_writes_no_padding(tmp_path):
    (tmp_path / "raw.jsonl").write_bytes(lines([padded(tool_row(call(), then=(ANSWERED, DONE)))]))
    target = tmp_path / "train.jsonl"
    done = CliRunner().invoke(main, ["data", "prepare", str(tmp_path / "raw.jsonl"), "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert json.loads(target.read_text())["tools"] == [TOOL]
    assert target.read_text().count("null") == 1  # the content of the message with the call


@pytest.mark.parametrize(
    ("planted", "code"),
    [
        (tool_row(call(arguments={"number": 7}), then=(ANSWERED, DONE)), "invalid_tool_calls"),
        (tool_row({"id": "c1", "function": "find_order"}, then=(ANSWERED, DONE)), "invalid_tool_calls"),
        (tool_row(call(id=None), then=(ANSWERED, DONE)), "invalid_tool_calls"),
        (tool_row("find_order", then=(ANSWERED, DONE)), "invalid_tool_calls"),
        (tool_row(call(), then=(ANSWERED | {"tool_call_id": "c7"}, DONE)), "tool_answer_unmatched"),
        (tool_row(call(), then=({"role": "tool", "content": "shipped"}, DONE)), "message_missing_key"),
        (
            {"messages": [*row("", "")["messages"][:1], {"role": "human", "content": "hello"}, DONE]},
            "unrecognized_role",
        ),
        ({"messages": [*row(sentence(901), "")["messages"][:2], {"role": "gpt", "content": "a"}]}, "unrecognized_role"),
        (tool_row(call(name="find"), tools={}, then=(ANSWERED, DONE)), "invalid_tools"),
        (row(sentence(901), "bug<|eot_id|>"), "control_token"),
    ],
)
def test_what_follows_from_a_fault_is_not_reported(planted, code, tmp_path):
    assert set(codes(tmp_path, replaced({40: planted}))) == {code}


def test_a_control_token_in_a_text_that_rows_share_is_counted_in_each(tmp_path):
    tool = {"type": "function", "function": {"name": "find_order", "description": "Ends with <|im_end|>"}}
    rows = [row(sentence(number), "other") | {"tools": [tool]} for number in range(1, 41)]
    assert codes(tmp_path, rows)["control_token"] == 40


@pytest.mark.parametrize("raw", [b"", b"\x1f\x8b packed", b"[\n{}\n]", lines([{"a": 1}] * 4), lines([b"{"] * 40)])
def test_a_file_without_a_usable_row_is_not_too_small_as_well(raw, tmp_path):
    assert len(check(**Plant("", raw=raw).write(tmp_path)).by_code) == 1


def test_broken_rows_count_towards_the_number_of_examples(tmp_path):
    broken = [without_answer("user")] * 5
    assert set(codes(tmp_path, clean_rows(8) + broken)) == {"example_missing_assistant_message", "few_examples"}
    assert "too_few_examples" in codes(tmp_path, clean_rows(8) + broken[:1])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_may_be_written_as_a_decimal(weight, tmp_path):
    question, answer = row(sentence(901), "other")["messages"][1:]
    earlier = [{"role": "user", "content": sentence(903)}, {"role": "assistant", "content": "bug", "weight": weight}]
    assert codes(tmp_path, replaced({40: {"messages": [row("", "")["messages"][0], *earlier, question, answer]}})) == {}


def test_a_weight_of_zero_is_not_learned_however_it_is_written(tmp_path):
    planted = row(sentence(901), "other")
    planted["messages"][2]["weight"] = 0.0
    assert set(codes(tmp_path, replaced({40: planted}))) == {"nothing_to_learn"}


def test_a_kind_of_input_is_missed_only_where_it_is_evaluated(tmp_path):
    rows = [row(sentence(number), "bug" if number % 2 else "feature") for number in range(120)]
    assert codes(tmp_path, rows) == {}
    evaluated = [row("?", "bug"), row(sentence(950, 60), "bug"), row(sentence(951), "unclear")]
    result = check(**Plant("", training=rows, validation=evaluated).write(tmp_path))
    assert {each.code: each.other for each in result.findings} == {
        "no_empty_field": "validation.jsonl:1",
        "no_long_input": "validation.jsonl:2",
        "no_ambiguous_input": "validation.jsonl:3",
    }


def test_columns_of_other_shapes_are_one_finding_with_a_command_for_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more = {"prompt": "hello", "completion": "a", "preferred_output": "b", "score_chosen": 8.5}
    rows = [row(sentence(number), "bug", **more) for number in range(120)]
    (finding,) = check(**Plant("", training=rows).write(tmp_path)).findings
    assert finding.code == "unused_column"
    command = finding.hint.partition("pytest-finetune ")[2]
    assert CliRunner().invoke(main, command.split()).exit_code == 0
    assert check([tmp_path / "NEW.jsonl"], root=tmp_path).findings == ()


def test_functions_are_reported_once_in_a_row(tmp_path):
    calls = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    turns = [{"role": "user", "content": sentence(901)}, calls, {"role": "function", "name": "f", "content": "a"}]
    planted = {"messages": [*row("", "")["messages"][:1], *turns, DONE], "functions": [{"name": "f"}]}
    assert codes(tmp_path, replaced({40: planted})) == {"deprecated_functions": 1}


def test_preferences_may_have_an_empty_list_of_tools_as_in_openai_s_example(tmp_path):
    rows = [
        {
            "input": {"messages": row(sentence(number), "")["messages"][:2], "tools": []},
            "preferred_output": [{"role": "assistant", "content": "bug"}],
            "non_preferred_output": [{"role": "assistant", "content": "other"}],
        }
        for number in range(120)
    ]
    assert set(codes(tmp_path, rows)) == {"other_shape"}


def test_equal_faults_of_an_eval_set_are_one_line_with_a_count(tmp_path):
    cases = [{"input": f"question {number}", "answer": "x"} for number in range(60)]
    cases += [{"messages": [*row("a", "b")["messages"], {"role": "usr", "content": "c"}]}] * 2
    path = tmp_path / "set.jsonl"
    path.write_bytes(lines(cases))
    with pytest.raises(EvalSetErrors) as caught:
        load_eval_sets([path], root=tmp_path)
    assert len(caught.value.faults) == 62
    reported = [line for line in str(caught.value).splitlines() if "hint:" not in line]
    assert reported == [
        "set.jsonl:1: unknown key 'answer' (and 59 more)",
        "set.jsonl:61: messages[3] has the unknown role 'usr' (and 1 more)",
    ]
    result = check([], evals=[path], root=tmp_path)
    assert [finding.line for finding in result.findings] == [1, 61]


def test_faults_that_differ_in_a_name_are_listed_a_few_times_only(tmp_path):
    path = tmp_path / "set.jsonl"
    names = [f"key_{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(100)]
    path.write_bytes(lines([{"input": "a", "expected": "b", name: 1} for name in names]))
    with pytest.raises(EvalSetErrors) as caught:
        load_eval_sets([path], root=tmp_path)
    reported = [line for line in str(caught.value).splitlines() if "hint:" not in line]
    assert [line.partition(" (")[0] for line in reported] == [
        f"set.jsonl:{at + 1}: unknown key {names[at]!r}" for at in range(6)
    ]
    assert reported[5].endswith("(and 94 more like it)")


def test_equal_findings_of_a_file_are_one_line_with_a_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    broken = row(sentence(901), "other")
    broken["messages"][1] |= {"colour": "red"}
    Path("train.jsonl").write_bytes(lines([broken] * 30))
    output = CliRunner().invoke(main, ["data", "check", "train.jsonl", "--select", "form"]).output
    assert output.count("colour") == 1
    assert "(and 29 more)" in output
    assert (
        CliRunner().invoke(main, ["data", "check", "train.jsonl", "--select", "form", "-v"]).output.count("colour")
        == 30
    )


def test_no_hint_suggests_a_key_that_is_there(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_bytes(lines([row("a", "b") | {"tools": [TOOL], "tool": TOOL}]))
    with pytest.raises(EvalSetErrors) as caught:
        load_eval_sets([path], root=tmp_path)
    assert caught.value.faults[0].hint == "remove it: 'tools' is there already"
    planted = row(sentence(901), "other")
    planted["messages"][1]["contents"] = "hello"
    (finding,) = check(**Plant("", training=replaced({40: planted})).write(tmp_path)).findings
    assert finding.hint == "remove it: 'content' is there already"


@pytest.mark.parametrize("columns", [("question", "reply"), ("prompt", "answer"), ("ask", "completion")])
def test_no_remedy_names_a_column_that_the_rows_do_not_have(columns, tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_bytes(lines([dict.fromkeys(columns, "text")] * 20))
    hints = [each.hint for each in check([path], evals=[path], root=tmp_path).findings]
    names = {f"{field}={name}" for field in ("input", "output") for name in {"prompt", "completion"} - {*columns}}
    names |= {"did you mean"}
    assert hints
    assert not [hint for hint in hints if any(name in hint for name in names)]


def test_the_remedy_for_reinforcement_rows_names_their_columns(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_bytes(lines([{"prompt": "What is 2 + 2?", "solution": "4"}]))
    (finding,) = check([], evals=[path], root=tmp_path).findings
    assert "data prepare set.jsonl -o SET.jsonl --map input=prompt --map output=solution" in finding.hint
