"""Raw records become training examples that also load as an eval set; unusable ones are skipped with a reason."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.lifecycle.data.columns import read_mapping
from pytest_finetune.lifecycle.data.json_output import CanonicalJson
from pytest_finetune.lifecycle.data.prepare import Prepared, PrepareOptions, prepare, write_prepared
from pytest_finetune.lifecycle.data.raw_rows import LeftOut, read_raw
from pytest_finetune.lifecycle.data.rows import Row
from pytest_finetune.verdicts.loading import load_eval_sets

TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


def prepare_all(*values, **options):
    prepared = Prepared()
    rows = [Row("raw.jsonl", line, value) for line, value in enumerate(values, 1)]
    return list(prepare(rows, PrepareOptions(**options), prepared)), prepared


def only(value, **options):
    (example,), _ = prepare_all(value, **options)
    return example


def reasons(prepared):
    return {each.line: each.reason for each in prepared.left_out.listed}


def messages(example):
    return [(message["role"], message["content"]) for message in example["messages"]]


def test_a_record_becomes_a_chat():
    value = {"system_prompt": "Route.", "input": "where is it", "output": "delivery"}
    assert only(value) == {
        "messages": [
            {"role": "system", "content": "Route."},
            {"role": "user", "content": "where is it"},
            {"role": "assistant", "content": "delivery"},
        ]
    }
    assert [role for role, _ in messages(only({"input": "a", "output": "b"}))] == ["user", "assistant"]


@given(
    rows=st.lists(
        st.fixed_dictionaries({"input": TEXT, "output": TEXT}, optional={"system_prompt": TEXT}),
        min_size=1,
        max_size=5,
        unique_by=lambda row: json.dumps(row, sort_keys=True),
    ),
    form=st.sampled_from(["jsonl", "json"]),
)
@pytest.mark.slow
def test_prepared_examples_load_as_an_eval_set(rows, form):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "raw"), Path(folder, "cases.jsonl")
        text = "\n".join(map(json.dumps, rows)) if form == "jsonl" else json.dumps(rows, indent=1)
        source.write_text(text, "utf-8")
        write_prepared(read_raw(source, form=form), PrepareOptions(), source=source, target=target)
        (loaded,) = load_eval_sets([target], root=Path(folder))
    found = [(tuple(message.content for message in case.messages), case.expected) for case in loaded.cases]
    assert found == [
        ((*([row["system_prompt"]] if "system_prompt" in row else []), row["input"]), (row["output"],)) for row in rows
    ]


def test_map_renames_columns():
    columns = read_mapping(["input=question", "output=answer", "system_prompt=role"])
    example = only({"question": "a", "answer": "b", "role": "c", "channel": "web"}, columns=columns)
    assert messages(example) == [("system", "c"), ("user", "a"), ("assistant", "b")]


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        (["input"], "not FIELD=COLUMN"),
        (["input="], "not FIELD=COLUMN"),
        (["imput=q"], "unknown field 'imput'"),
        (["input=a", "input=b"], "mapped twice"),
    ],
)
def test_an_invalid_mapping_is_an_error(pairs, problem):
    with pytest.raises(DataError, match=problem):
        read_mapping(pairs)


def test_the_system_option_replaces_system_prompts_and_counts_them():
    examples, prepared = prepare_all(
        {"input": "a", "output": "b"},
        {"system_prompt": "old", "input": "a", "output": "b"},
        {"system_prompt": "new", "input": "a", "output": "b"},
        {"system_prompt": "old", "input": "a", "output": ""},
        system="new",
    )
    assert [messages(example)[0] for example in examples] == [("system", "new")] * 3
    assert prepared.replaced_system == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"input": "a"}, "unknown shape; its keys: 'input' (add a column with the answer, or remove"),
        ({"question": "a", "output": "b"}, "unknown shape; its keys: 'question', 'output'"),
        ({"input": "a", "expected": ["b", "c"]}, "2 acceptable answers, but a training row has one"),
        ({"messages": [{"role": "user", "content": "a"}]}, "no answer: the last message is of role 'user'"),
        ({"messages": [{"role": "assistant", "content": " "}]}, "no answer: the last message is empty"),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": None}]}, "no answer"),
        ({"input": "", "output": "b"}, "input is empty"),
        ({"input": " \n", "output": "b"}, "input is empty"),
        ({"input": 5, "output": "b"}, "input is a number, not text"),
        ({"input": "a", "output": None}, "output is null"),
        ({"input": "a", "output": "\t"}, "output is empty"),
        ({"system_prompt": 5, "input": "a", "output": "b"}, "system_prompt is a number, not text"),
        ({"messages": []}, "messages is an empty list"),
        ({"messages": "hi"}, "messages is a string, not a list of messages"),
    ],
)
def test_an_unusable_record_is_skipped_with_a_reason(value, reason):
    examples, prepared = prepare_all({"input": "x", "output": "y"}, value)
    assert len(examples) == prepared.written == 1
    assert prepared.left_out.count == 1
    assert reasons(prepared)[2].startswith(reason)


def test_unreadable_records_count_as_skipped():
    prepared = Prepared()
    assert list(prepare([LeftOut(3, "broken")], PrepareOptions(), prepared)) == []
    assert reasons(prepared) == {3: "broken"}


def test_json_answers_are_written_in_canonical_form():
    first, second = prepare_all(
        {"input": "a", "output": {"reason": "ü", "label": [1, {"b": 1, "a": 2}]}},
        {"input": "b", "output": {"label": [{"a": 1.50, "b": 2}], "new": None, "reason": "x"}},
    )[0]
    assert messages(first)[-1][1] == '{"reason":"ü","label":[1,{"b":1,"a":2}]}'
    assert messages(second)[-1][1] == '{"reason":"x","label":[{"b":2,"a":1.5}],"new":null}'


def test_json_text_is_parsed_only_with_json_output():
    text = '{ "b": 1, "a": 2 }'
    assert messages(only({"input": "a", "output": text}))[-1][1] == text
    assert messages(only({"input": "a", "output": text}, json_output=True))[-1][1] == '{"b":1,"a":2}'


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("{b: 1}", "output is not strict JSON"),
        ('{"a": 1, "a": 2}', "output is not strict JSON: key 'a' is repeated"),
        ("[" * 150 + "]" * 150, "output: nested more than 100 levels deep"),
        ("[" * 50_000, "output is not strict JSON"),
        ('"\\ud800"', "output: the lone surrogate"),
    ],
)
def test_json_output_skips_answers_that_are_not_strict_json(output, reason):
    _, prepared = prepare_all({"input": "a", "output": output}, json_output=True)
    assert reasons(prepared)[1].startswith(reason)


def test_a_schema_sets_the_order_of_keys():
    schema = {
        "properties": {"order": {}, "slots": {"anyOf": [{"properties": {"city": {}, "date": {}}}, {"type": "null"}]}}
    }
    value = {"slots": {"date": 1, "city": 2}, "order": None, "extra": 0}
    example = only({"input": "a", "output": value}, schema=schema)
    assert messages(example)[-1][1] == '{"order":null,"slots":{"city":2,"date":1},"extra":0}'


@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
            ),
            max_leaves=10,
        ),
        max_size=4,
    )
)
def test_canonical_json_keeps_the_value(values):
    writer = CanonicalJson()
    assert [parse_json(writer.write(value)) for value in values] == values


def test_keys_beyond_the_limit_are_sorted():
    writer = CanonicalJson()
    keys = [f"k{number:05}" for number in range(3000, 0, -1)]
    written = parse_json(writer.write(dict.fromkeys(keys, 0)))
    assert list(written) == [*keys[:1000], *sorted(keys[1000:])]


def test_records_in_chat_format_change_only_in_their_system_prompt():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call], "weight": 1}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    assert only(chat) == chat
    assert only(chat, system="s")["messages"] == [{"role": "system", "content": "s"}, *chat["messages"]]


def test_keys_outside_openais_format_are_kept_only_with_keep():
    value = {"input": "a", "output": "b", "id": 7, "tags": "x, y", "group": "g", "metadata": {"m": 1}, "other": 2}
    examples, prepared = prepare_all(value)
    assert set(examples[0]) == {"messages"}
    assert prepared.not_kept == {"id": 1, "tags": 1, "group": 1, "metadata": 1}
    assert prepared.unused == {"other": 1}
    kept = only(value, keep=True)
    assert {key: kept[key] for key in ("id", "tags", "metadata")} == {
        "id": 7,
        "tags": ["x", "y"],
        "metadata": {"m": 1, "group": "g"},
    }
    _, refused = prepare_all(value | {"metadata": "text"}, keep=True)
    assert reasons(refused) == {1: "metadata is a string, not an object"}


def test_nothing_is_written_without_a_usable_record(tmp_path):
    source, target = tmp_path / "raw.jsonl", tmp_path / "train.jsonl"
    source.write_text('{"q": 1}\n{"q": 2}\n', "utf-8")
    with pytest.raises(DataError, match=r"no record is usable: unknown shape; its keys: 'q'.*and 1 more"):
        write_prepared(read_raw(source, form="jsonl"), PrepareOptions(), source=source, target=target)
    assert list(tmp_path.iterdir()) == [source]


def test_a_truncated_source_leaves_no_files_behind(tmp_path):
    source, target = tmp_path / "raw.json", tmp_path / "train.jsonl"
    source.write_text('[{"input": "a", "output": "b"}, {"in', "utf-8")
    target.write_text("old", "utf-8")
    with pytest.raises(DataError, match="not JSON"):
        write_prepared(read_raw(source, form="json"), PrepareOptions(), source=source, target=target, force=True)
    assert target.read_text("utf-8") == "old"
    assert sorted(tmp_path.iterdir()) == [source, target]


def with_picture(text, **columns):
    turns = [{"from": "human", "value": text}, {"from": "gpt", "value": "Two."}]
    return {"image": "birds/1.jpg", "conversations": turns, **columns}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<image>\nHow many birds?", "How many birds?"),
        ("How many birds?\n<image>", "How many birds?"),
        ("Is <image> a bird?", "Is a bird?"),
        ("Is <video> a bird?", "Is <video> a bird?"),
    ],
)
def test_the_mark_of_a_dropped_picture_is_removed_from_the_text(text, left):
    (example,), prepared = prepare_all(with_picture(text), drop=["image"])
    assert messages(example) == [("user", left), ("assistant", "Two.")]
    assert prepared.without_media == (text != left)


def test_a_message_that_was_only_a_dropped_picture_is_skipped():
    _, prepared = prepare_all(with_picture("<image>\n"), with_picture("Birds?"), drop=["image"])
    assert reasons(prepared) == {1: "a message of role 'user' has nothing but <image>"}


def test_a_mark_stays_in_a_row_that_had_no_picture():
    value = {"prompt": "What does <image> do in HTML?", "completion": "nothing"}
    examples, prepared = prepare_all(value, value | {"images": ["a.png"]}, value | {"images": []}, drop=["images"])
    assert [messages(each)[0][1] for each in examples] == [
        value["prompt"],
        "What does do in HTML?",
        value["prompt"],
    ]
    assert prepared.without_media == 1


def test_an_answer_of_a_function_that_was_not_called_is_skipped():
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "function_call": {"name": "weather", "arguments": "{}"}},
        {"role": "function", "name": "wether", "content": "12"},
        {"role": "assistant", "content": "12 degrees"},
    ]
    shared = [
        {"from": "human", "value": "Weather?"},
        {"from": "observation", "value": "12"},
        {"from": "gpt", "value": "12"},
    ]
    good = {"input": "a", "output": "b"}
    _, prepared = prepare_all({"messages": turns}, {"conversations": shared}, good)
    assert [*reasons(prepared)] == [1, 2]
    assert reasons(prepared)[1].startswith("messages[2] answers no call of wether (")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"prompt": "a"}, "add a column with the answer, or remove the row"),
        ({"question": "a", "context": "b"}, "add a column with the answer, or remove the row"),
        ({"text": "a"}, "divide each text"),
        ({"problem": "a", "solution": "b"}, "raw.jsonl -o NEW.jsonl --map input=problem --map output=solution"),
        ({"Question": "a", "SQL": "SELECT 1"}, "--map input=Question --map output=SQL"),
        ({"text": "a", "label": 1, "label_text": "bug"}, "--map input=text --map output=label_text"),
        ({"question": "a", "choices": ["x", "y"], "answer": 1}, "--map input=question+choices --map output=answer"),
        (
            {"question": "a", "A": "x", "B": "y", "answer": "B"},
            "columns: pytest-finetune data prepare raw.jsonl -o NEW",
        ),
        ({"question": "a", "A": "x", "B": "y", "answer": "B"}, "--map input=question+A+B --map output=answer"),
        ({"question": "a", "opa": "x", "opb": "y", "cop": 1}, "--map input=question+opa+opb --map output=cop"),
        ({"article": "a", "question": "b", "options": [], "answer": "c"}, "--map input=question+article+options --map"),
        ({"article": "a", "highlights": "b", "id": "1"}, "--map input=article --map output=highlights"),
        (
            {"role": "prompter", "text": "a", "parent_id": "m1"},
            "each row is one message: write those of a conversation",
        ),
        ({"system": "SYSTEM: a", "chat": "USER: b ASSISTANT: c"}, "divide each text"),
        ({"question": "a", "answer": "b", "hint_2": "c"}, "name the columns, and join others with +: pytest-finetune"),
        ({}, 'write {"messages": […]}, or remove the row'),
    ],
)
def test_the_hint_for_an_unknown_shape_fits_its_columns(value, hint):
    _, prepared = prepare_all(value, {"input": "a", "output": "b"})
    assert hint in reasons(prepared)[1]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ({"options": {"A": "rest", "B": "ice"}}, "A. rest\nB. ice"),
        ({"options": ["rest", "ice"]}, "- rest\n- ice"),
        ({"options": [{"key": "A", "value": "rest"}, {"key": "B", "value": "ice"}]}, "A. rest\nB. ice"),
        ({"options": {"text": ["rest", "ice"], "label": ["1", "2"]}}, "1. rest\n2. ice"),
        ({"A": "rest", "B": "ice"}, "A. rest\n\nB. ice"),
        ({"options": "A) rest B) ice"}, "A) rest B) ice"),
    ],
)
def test_the_options_of_a_question_are_joined_with_their_letters(column, shown):
    mapping = read_mapping([f"input=question+{'+'.join(column)}", "output=answer"])
    (example,), _ = prepare_all({"question": "What helps?", **column, "answer": "B"}, columns=mapping)
    assert example["messages"][0]["content"] == f"What helps?\n\n{shown}"


@pytest.mark.parametrize("options", [{"A": 1}, [["rest"]], 7, True])
def test_what_is_no_list_of_options_is_not_joined(options):
    mapping = read_mapping(["input=question+options", "output=answer"])
    good = {"question": "a", "options": "b", "answer": "c"}
    _, prepared = prepare_all({"question": "What helps?", "options": options, "answer": "B"}, good, columns=mapping)
    assert "options is" in reasons(prepared)[1]


@pytest.mark.parametrize(
    ("row", "command"),
    [
        ({"input": "What helps?", "options": {"A": "rest", "B": "ice"}, "output": "B"}, "--drop options"),
        ({"prompt": "What helps?", "choices": ["rest", "ice"], "completion": "ice"}, "--drop choices"),
        ({"instruction": "What helps?", "options": ["rest", "ice"], "output": "ice"}, "--drop options"),
    ],
)
def test_options_that_would_be_lost_are_an_error(row, command):
    with pytest.raises(DataError) as caught:
        prepare_all(row)
    (name,) = {"options", "choices"} & row.keys()
    assert f"join it: --map input=QUESTION+{name} --map output=ANSWER; " in caught.value.hint
    assert caught.value.hint.endswith(command)


def test_options_that_the_question_shows_are_not_lost():
    row = {"input": "What helps? A) rest B) ice", "options": {"A": "rest", "B": "ice"}, "output": "B"}
    (example,), _ = prepare_all(row)
    assert example["messages"][0]["content"] == row["input"]


def test_a_column_that_the_mapping_loses_is_joined_or_dropped_by_the_same_command():
    row = {"question": "What helps?", "choices": ["rest", "ice"], "answer": "ice"}
    named = ["input=question", "output=answer"]
    with pytest.raises(DataError) as caught:
        prepare_all(row, columns=read_mapping(named))
    assert caught.value.hint == (
        "to show it to the model, join it: --map input=QUESTION+choices --map output=ANSWER; "
        "to leave it out, add --drop choices"
    )
    assert only(row, columns=read_mapping(named), drop=["choices"])["messages"][0]["content"] == "What helps?"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"text": ["1920"], "answer_start": [7]}, "1920"),
        ({"text": ["1920", "1920"], "answer_start": [7, 30]}, "1920"),
        ({"text": "1920", "answer_start": 7}, "1920"),
        ({"text": ["1920"]}, '{"text":["1920"]}'),
    ],
)
def test_an_answer_with_its_place_in_the_context_is_its_text(answers, expected):
    row = {"context": "It was 1920.", "question": "When?", "answers": answers}
    example = only(row, columns=read_mapping(["input=question+context", "output=answers"]))
    assert example["messages"][-1]["content"] == expected


@pytest.mark.parametrize(("texts", "problem"), [(["a", "b"], "answers has 2 texts"), ([], "answers has no texts")])
def test_several_different_answers_or_none_are_not_one(texts, problem):
    row = {"context": "It was 1920.", "question": "When?", "answers": {"text": texts, "answer_start": []}}
    _, prepared = prepare_all(
        row, {**row, "answers": "b"}, columns=read_mapping(["input=question", "output=answers"]), drop=["context"]
    )
    assert problem in reasons(prepared)[1]
