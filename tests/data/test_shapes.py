"""Rows of every known shape are read as the chat that they mean; a row that cannot be read whole is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finetune.base.errors import DataError
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.data.chat_rows import chat_rows
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.raw_rows import LeftOuts, read_jsonl
from pytest_finetune.verdicts.loading import load_eval_sets
from pytest_finetune.verdicts.shapes import NAMES, find_shape, read_row, unused_columns
from pytest_finetune.verdicts.shapes.row import RowFault

WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
USER = {"role": "user", "content": "Rain in Bergen?"}
ANSWER = {"role": "assistant", "content": "Yes, all week."}
SNOW = {"role": "assistant", "content": "Snow."}

ROWS = {
    "chat": {"messages": [USER, ANSWER]},
    "input-output": {"input": "Rain in Bergen?", "output": "Yes, all week."},
    "alpaca": {"instruction": "Rain in Bergen?", "input": "", "output": "Yes, all week."},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Rain in Bergen?"}, {"from": "gpt", "value": "Yes, all week."}]
    },
    "xlam": {
        "id": 7,
        "query": "Rain in Bergen?",
        "answers": '[{"name": "weather", "arguments": {"city": "Bergen"}}]',
        "tools": '[{"name": "weather", "parameters": {"city": {"type": "str", "description": "c"}}}]',
    },
    "prompt-completion": {"prompt": "Rain in Bergen?", "completion": "Yes, all week."},
    "openai-preference": {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [SNOW]},
    "trl-preference": {"prompt": "Rain in Bergen?", "chosen": "Yes, all week.", "rejected": "Snow."},
    "reinforcement": {"messages": [USER], "reference_answer": {"rain": True}},
}
PLAIN = ["chat", "input-output", "alpaca", "sharegpt", "prompt-completion", "openai-preference", "trl-preference"]


def invoke(*words):
    return CliRunner().invoke(main, ["data", *map(str, words)], prog_name="pytest-finetune")


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_every_shape_has_an_example():
    assert {*ROWS} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_is_found_by_its_columns(name):
    padded = {column: None for shape in NAMES.values() for column in shape.uses}
    assert find_shape(ROWS[name]).name == name
    assert find_shape(padded | ROWS[name]).name == name
    assert unused_columns(padded | ROWS[name], NAMES[name]) == []


@pytest.mark.parametrize("name", PLAIN)
def test_a_question_and_its_answer_are_read_from_every_shape(name):
    row = read_row(ROWS[name])
    assert (row.messages, row.tools) == ([USER, ANSWER], None)
    assert row.rejected == ([SNOW] if "preference" in name else [])


def test_xlam_calls_become_tool_calls_and_python_types_json_schema():
    parameters = {
        "city": {"type": "str", "description": "c"},
        "days": {"type": "int, optional", "description": "d"},
        "units": {"type": "List[str]", "default": "metric"},
        "near": {"type": "Union[str, int]"},
    }
    value = ROWS["xlam"] | {"tools": [{"name": "weather", "parameters": parameters}]}
    row = read_row(value)
    (called,) = row.answer["tool_calls"]
    assert called["function"] == {"name": "weather", "arguments": '{"city":"Bergen"}'}
    assert row.tools[0]["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "c"},
            "days": {"type": "integer", "description": "d"},
            "units": {"type": "array", "default": "metric"},
            "near": {},
        },
        "required": ["city", "near"],
    }


def test_a_parameter_of_xlam_may_be_called_type():
    tools = [{"name": "find", "parameters": {"type": {"type": "str", "default": "game"}}}]
    row = read_row({"query": "a game", "answers": [{"name": "find", "arguments": {}}], "tools": tools})
    assert row.tools[0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"type": {"type": "string", "default": "game"}},
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "properties": {"city": {"type": "string"}}},
        {"city": "str"},
        ["city"],
    ],
)
def test_parameters_of_xlam_that_are_not_listed_by_name_with_a_type_stay_as_they_are(parameters):
    tools = [{"name": "weather", "parameters": parameters}]
    row = read_row(ROWS["xlam"] | {"tools": tools})
    assert row.tools[0]["function"] == {"name": "weather", "parameters": parameters}


def test_a_tool_of_xlam_in_openais_form_stays_as_it_is():
    tool = {"type": "function", "function": WEATHER}
    assert read_row(ROWS["xlam"] | {"tools": [tool]}).tools == [tool]


def turn(who, value):
    return {"from": who, "value": value if isinstance(value, str) else json.dumps(value)}


CALLS = [{"name": "weather", "arguments": {"city": city}} for city in ("Bergen", "Oslo")]


@pytest.mark.parametrize(
    "turns",
    [
        [turn("function_call", CALLS), turn("observation", ["rain", "sun"])],
        [turn("function_call", CALLS), turn("observation", "rain"), turn("observation", "sun")],
        [
            turn("gpt", "".join(f"<tool_call>\n{json.dumps(each)}\n</tool_call>\n" for each in CALLS)),
            turn("tool", "<tool_response>\nrain\n</tool_response>\n<tool_response>\nsun\n</tool_response>"),
        ],
    ],
    ids=["a list", "one turn each", "Hermes"],
)
def test_calls_in_sharegpt_are_paired_with_their_results(turns):
    row = read_row(
        {
            "system": "Be brief.",
            "conversations": [turn("human", "Rain?"), *turns, turn("gpt", "In Bergen.")],
            "tools": json.dumps([WEATHER]),
        }
    )
    system, _, message, first, second, last = row.messages
    assert [each["function"]["arguments"] for each in message["tool_calls"]] == ['{"city":"Bergen"}', '{"city":"Oslo"}']
    assert [each["id"] for each in message["tool_calls"]] == [first["tool_call_id"], second["tool_call_id"]]
    assert (first["content"], second["content"], last["content"]) == ("rain", "sun", "In Bergen.")
    assert system == {"role": "system", "content": "Be brief."}
    assert row.tools == [{"type": "function", "function": WEATHER}]


def test_legacy_functions_are_tools():
    called = {
        "role": "assistant",
        "content": None,
        "function_call": {"name": "weather", "arguments": '{"city": "Bergen"}'},
    }
    result = {"role": "function", "name": "weather", "content": "rain"}
    row = read_row({"messages": [USER, called, result, ANSWER], "functions": [WEATHER]})
    call, answer = row.messages[1:3]
    assert call["tool_calls"][0]["function"] == called["function_call"]
    assert answer == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "rain"}
    assert row.tools == [{"type": "function", "function": WEATHER}]


def test_a_prompt_that_both_answers_share_is_the_prompt():
    both = {"chosen": [USER, ANSWER], "rejected": [USER, SNOW]}
    for value in (both, both | {"prompt": "Rain in Bergen?"}, both | {"prompt": [USER]}):
        row = read_row(value)
        assert (row.prompt, row.answer, row.rejected) == ([USER], ANSWER, [SNOW])
    with pytest.raises(RowFault, match="the prompt is not the one that chosen and rejected share"):
        read_row(both | {"prompt": "Snow in Oslo?"})


@pytest.mark.parametrize(
    "value",
    [
        {"system": "Be brief.", "question": "Rain in Bergen?", "chosen": "Yes, all week.", "rejected": "Snow."},
        {"system": "Be brief.", "prompt": "Rain in Bergen?", "completion": "Yes, all week."},
        {"system_prompt": "Be brief.", "input": [USER], "expected": "Yes, all week."},
    ],
)
def test_a_system_prompt_is_read(value):
    assert read_row(value).messages == [{"role": "system", "content": "Be brief."}, USER, ANSWER]
    assert unused_columns(value, find_shape(value)) == []


def test_rows_of_an_unknown_shape_are_reported_once_for_their_columns(tmp_path):
    rows = [{"question": "a", "reply": str(number)} for number in range(30)] + [{"text": "b"}, {}]
    found = check([write(tmp_path / "raw.jsonl", rows)], root=tmp_path).findings
    assert [(each.line, each.problem) for each in found if each.code == "missing_messages_list"] == [
        (1, "unknown shape; its keys: 'question', 'reply' (30 rows)"),
        (31, "unknown shape; its keys: 'text' (1 row)"),
        (32, "unknown shape; its keys: none (1 row)"),
    ]
    assert [each.hint for each in found if each.code == "missing_messages_list"] == [
        "name the columns: pytest-finetune data prepare raw.jsonl -o NEW.jsonl --map input=question --map output=reply",
        *['write {"messages": […]}, or move these rows to a file of their own'] * 2,
    ]


@pytest.mark.parametrize("instruction", ["", None])
def test_alpaca_may_have_the_whole_prompt_in_input(instruction):
    row = read_row({"instruction": instruction, "input": "Rain in Bergen?", "output": "Yes."})
    assert [each["content"] for each in row.messages] == ["Rain in Bergen?", "Yes."]


def test_alpaca_joins_instruction_and_input_and_reads_earlier_turns():
    row = read_row(
        {"instruction": "Translate.", "input": "god morgen", "output": "good morning", "history": [["Hi", "Hello"]]}
    )
    assert [message["content"] for message in row.messages] == [
        "Hi",
        "Hello",
        "Translate.\n\ngod morgen",
        "good morning",
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "unknown shape; its keys: none"),
        ({"question": "a", "reply": "b"}, "unknown shape; its keys: 'question', 'reply'"),
        ({"messages": [USER, ANSWER], "input": "a", "output": "b"}, "two shapes at once: 'messages' and 'input'"),
        (
            {"prompt": "a", "completion": "b", "chosen": "c", "rejected": "d"},
            "two shapes at once: 'prompt' and 'chosen'",
        ),
        ({"input": "a", "output": "b", "expected": "c"}, "two answers: 'output' and 'expected'"),
        ({"input": "a", "output": "b", "system": "c", "system_prompt": "d"}, "two system prompts"),
        (
            {"input": [{"role": "system", "content": "a"}, USER], "output": "b", "system": "c"},
            "two system prompts: one of them in input",
        ),
        ({"instruction": "a", "output": "  "}, "output is empty"),
        ({"instruction": "a", "output": None}, "output is null"),
        ({"messages": []}, "messages is an empty list"),
        ({"messages": [USER]}, "no answer: the last message is of role 'user'"),
        ({"messages": [USER, {"role": "assistant", "content": "\n"}]}, "no answer: the last message is empty"),
        ({"messages": [USER, ANSWER], "tools": [], "functions": []}, "both tools and functions"),
        ({"conversations": [turn("human", "a")]}, "no answer: the last message is of role 'user'"),
        ({"conversations": [turn("narrator", "a")]}, "conversations[0] is from 'narrator'"),
        (
            {"conversations": [turn("human", "a") | {"image": "b.png"}]},
            "conversations[0] has 'image', which would be lost",
        ),
        (
            {"conversations": [turn("human", "a"), turn("function_call", "weather()")]},
            "conversations[1]: the call is not",
        ),
        ({"query": "a", "answers": "[]"}, "no answer: answers has no call"),
        ({"query": "a", "answers": "weather()"}, "answers is not strict JSON"),
        ({"query": "a", "answers": [{"arguments": {}}]}, "answers[0] has no name"),
        ({"query": "a", "answers": [{"name": "weather"}], "tools": ["weather"]}, "tools[0] has no name"),
        ({"chosen": "a", "rejected": "b"}, "no prompt"),
        ({"prompt": "a", "completion": [USER]}, "no answer: the last message is of role 'user'"),
        (
            {"input": "a", "preferred_output": [ANSWER], "non_preferred_output": [SNOW]},
            "input is a string, not an object",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_refused(value, problem):
    with pytest.raises(RowFault) as caught:
        read_row(value)
    assert caught.value.problem.startswith(problem)


@pytest.mark.parametrize("name", NAMES)
def test_a_named_shape_needs_its_columns(name):
    with pytest.raises(RowFault):
        read_row({"question": "a", "reply": "b"}, name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reinforcement"])
@pytest.mark.parametrize("column", ["images", "conversations", "context", "functions"])
def test_a_column_of_another_shape_is_never_dropped_silently(name, column, tmp_path):
    if column in NAMES[name].uses:
        return
    source, target = write(tmp_path / "raw.jsonl", [ROWS[name], ROWS[name] | {column: ["x"]}]), tmp_path / "new.jsonl"
    lost = f"raw.jsonl:2: the column '{column}' is not used by the shape {name} and would be lost"
    for words in (
        ("prepare", source, "-o", target),
        ("split", source),
        ("price", source, "--model", "gpt-4.1"),
        ("profile", source, "--no-check"),
    ):
        done = invoke(*words, "--shape", name)
        assert done.exit_code == 2
        assert lost in done.output
        assert f"--drop {column}" in done.output
        assert list(tmp_path.iterdir()) == [source]
    assert check([source], options=CheckOptions(shape=name)).by_code["unused_column"] == 1
    done = invoke("prepare", source, "-o", target, "--shape", name, "--drop", column)
    assert done.exit_code == 0, done.output
    assert len(target.read_text("utf-8").splitlines()) == 2


def test_an_empty_column_of_another_shape_loses_nothing(tmp_path):
    row = ROWS["chat"] | {"images": [], "context": "", "prompt": None}
    done = invoke("prepare", write(tmp_path / "raw.jsonl", [row]), "-o", tmp_path / "new.jsonl")
    assert done.exit_code == 0, done.output


def test_desirability_of_a_completion_is_not_dropped(tmp_path):
    source = write(tmp_path / "raw.jsonl", [ROWS["prompt-completion"] | {"label": False}])
    done = invoke("prepare", source, "-o", tmp_path / "new.jsonl")
    assert done.exit_code == 2
    assert "the column 'label' is not used by the shape prompt-completion" in done.output


@pytest.mark.parametrize("name", [*ROWS])
def test_the_remedy_of_another_shape_is_followed_until_nothing_is_reported(name, tmp_path):
    """`data check` names the command that converts a file; what it writes has no such finding."""
    source = write(tmp_path / "raw.jsonl", [ROWS[name]])
    findings = [each for each in check([source]).findings if each.code == "other_shape"]
    if name == "chat":
        assert findings == []
        return
    (finding,) = findings
    if "data prepare" in finding.hint:
        target = tmp_path / "NEW.jsonl"
        assert finding.hint == f"convert: pytest-finetune data prepare {source} -o NEW.jsonl".replace(
            str(source), Path(finding.file).as_posix()
        )
        assert invoke("prepare", source, "-o", target).exit_code == 0
        source = target
    shape = {"trl-preference": "openai-preference"}.get(name, name)
    options = CheckOptions(shape=shape) if shape in ("openai-preference", "reinforcement") else CheckOptions()
    assert {*check([source], options=options).by_code} <= {"too_few_examples"}


def test_shapes_are_reported_once_per_file(tmp_path):
    rows = [{"instruction": f"question {number}", "output": str(number)} for number in range(30)]
    (finding,) = [each for each in check([write(tmp_path / "raw.jsonl", rows)]).findings if each.severity == 3]
    assert (finding.code, finding.line) == ("other_shape", 1)
    assert finding.problem == "30 rows are not in chat format but in the shape alpaca"


def test_rows_without_an_answer_are_left_out_and_named(tmp_path):
    source = write(tmp_path / "raw.jsonl", [ROWS["chat"], {"messages": [USER]}, {"messages": [USER], "source": "x"}])
    for words in (("prepare", source, "-o", tmp_path / "new.jsonl"), ("price", source, "--model", "gpt-4.1")):
        done = invoke(*words)
        assert done.exit_code == 1
        assert re.search("2 (records|lines) skipped", done.output)
        assert "no answer: the last message is of role 'user'" in " ".join(done.output.split())
    source = write(source, [{"messages": [USER]}] * 3)
    for words in (
        ("prepare", source, "-o", tmp_path / "other.jsonl"),
        ("price", source, "--model", "gpt-4.1"),
        ("split", source),
        ("profile", source, "--no-check"),
    ):
        done = invoke(*words)
        assert done.exit_code == 2
        assert "no answer" in done.output


def test_a_shape_can_be_chosen_where_a_row_has_two(tmp_path):
    source = write(tmp_path / "raw.jsonl", [ROWS["chat"] | {"prompt": "Rain in Bergen?", "completion": "Yes."}])
    assert "two shapes at once: 'messages' and 'prompt'" in invoke("prepare", source, "-o", tmp_path / "a.jsonl").output
    words = ("--shape", "chat", "--drop", "prompt", "--drop", "completion")
    assert invoke("prepare", source, "-o", tmp_path / "a.jsonl", *words).exit_code == 0


def test_messages_that_only_repeat_the_chosen_answer_are_not_a_second_shape(tmp_path):
    value = {"prompt": "Rain?", "prompt_id": "a1", "chosen": [USER, ANSWER], "rejected": [USER, SNOW]}
    value |= {"prompt": USER["content"], "messages": [USER, ANSWER], "score_chosen": 9.0, "score_rejected": 2.5}
    source, target = write(tmp_path / "raw.jsonl", [value] * 12), tmp_path / "new.jsonl"
    (found,) = check([source], options=CheckOptions(codes=("other_shape", "unused_column")), root=tmp_path).findings
    assert found.problem.endswith("in the shape trl-preference")
    assert invoke("prepare", source, "-o", target).exit_code == 0
    assert json.loads(target.read_text().splitlines()[0])["non_preferred_output"] == [SNOW]


def test_messages_next_to_two_other_answers_name_the_columns_to_drop_for_either_shape(tmp_path):
    value = {"messages": [USER, ANSWER], "chosen": [USER, SNOW], "rejected": [USER, ANSWER]}
    source = write(tmp_path / "two of them.jsonl", [value] * 3)
    (found,) = check([source], options=CheckOptions(codes=("missing_messages_list", "unused_column"))).findings
    assert found.hint.count("two of them.jsonl'") == 1
    drops = re.findall(r"for (\S+) add ([^,]*)", found.hint)
    assert [name for name, _ in drops] == ["chat", "trl-preference"]
    for name, words in drops:
        target = tmp_path / f"{name}.jsonl"
        assert invoke("prepare", source, "-o", target, *words.split()).exit_code == 0
    assert "two of them.jsonl'" in " ".join(invoke("prepare", source, "-o", tmp_path / "new.jsonl").output.split())


def test_a_column_that_repeats_a_message_is_no_loss(tmp_path):
    rows = [ROWS["chat"] | {"prompt": USER["content"], "category": "Weather"}] * 12
    source, target = write(tmp_path / "raw.jsonl", rows), tmp_path / "new.jsonl"
    assert "unused_column" not in check([source]).by_code
    assert invoke("prepare", source, "-o", target).exit_code == 0
    other = write(tmp_path / "other.jsonl", [ROWS["chat"] | {"prompt": "Snow in Bergen?"}])
    assert "'prompt' is not used" in invoke("prepare", other, "-o", tmp_path / "a.jsonl").output


def test_other_answers_that_a_case_accepts_are_kept_on_demand(tmp_path):
    line = {"input": "Rain in Bergen?", "expected": {"rain": True}, "accept": {"rain": [None]}}
    source, target = write(tmp_path / "set.jsonl", [line]), tmp_path / "new.jsonl"
    assert "dropped, not part of OpenAI's format: accept (1)" in invoke("prepare", source, "-o", target).output
    assert invoke("prepare", source, "-o", target, "--keep", "--force").exit_code == 0
    assert json.loads(target.read_text())["accept"] == line["accept"]


def test_records_that_cannot_be_read_are_left_out(tmp_path):
    source = write(tmp_path / "raw.jsonl", [{}, ROWS["alpaca"], {"messages": "?"}])
    left_out = LeftOuts()
    assert [record.line for record, _ in chat_rows(read_jsonl(source), left_out)] == [2]
    assert [each.line for each in left_out.listed] == [1, 3]
    with pytest.raises(DataError, match="would be lost"):
        list(chat_rows(read_jsonl(write(source, [ROWS["chat"] | {"video": "a.mp4"}])), left_out))


def test_preferences_are_written_in_openais_format(tmp_path):
    source, target = write(tmp_path / "raw.jsonl", [ROWS["trl-preference"]]), tmp_path / "new.jsonl"
    assert invoke("prepare", source, "-o", target, "--system", "Be brief.").exit_code == 0
    expected = ROWS["openai-preference"] | {"input": {"messages": [{"role": "system", "content": "Be brief."}, USER]}}
    assert json.loads(target.read_text("utf-8")) == expected


def test_equal_preferences_teach_nothing(tmp_path):
    source = write(tmp_path / "raw.jsonl", [ROWS["trl-preference"] | {"rejected": "Yes, all week."}])
    assert check([source]).by_code["nothing_to_learn"] == 1


def test_legacy_rows_are_checked_at_their_own_paths(tmp_path):
    called = {"role": "assistant", "content": None, "function_call": {"name": "wether", "arguments": "{city}"}}
    source = write(tmp_path / "raw.jsonl", [{"messages": [USER, called], "functions": [WEATHER, WEATHER]}])
    found = {(each.code, each.path) for each in check([source]).findings}
    assert found >= {
        ("invalid_tools", "$.functions"),
        ("tool_arguments", "$.messages[1].function_call.arguments"),
    }


EVAL_SHAPES = ["alpaca", "sharegpt", "xlam", "prompt-completion"]


@pytest.mark.parametrize("name", EVAL_SHAPES)
def test_training_shapes_with_an_answer_are_eval_sets(name, tmp_path):
    path = write(tmp_path / "set.jsonl", [ROWS[name] | {"id": "one", "tags": ["a"]}])
    path.with_suffix(".toml").write_text('scorer = "tool_call"\n' if name == "xlam" else "", "utf-8")
    (case,) = load_eval_sets([path], root=tmp_path)[0].cases
    assert [message.content for message in case.messages] == ["Rain in Bergen?"]
    assert (case.id, case.tags) == ("one", ("a",))
    if name == "xlam":
        assert [(each.name, each.arguments) for each in case.tool_calls] == [("weather", '{"city":"Bergen"}')]
    else:
        assert case.expected == ("Yes, all week.",)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (ROWS["trl-preference"], "preference data, which has no expected answer"),
        (ROWS["openai-preference"], "preference data, which has no expected answer"),
        (ROWS["reinforcement"], "a row for reinforcement fine-tuning, which has no expected answer"),
        (ROWS["alpaca"] | {"images": ["a.png"]}, "unknown key 'images'"),
        (ROWS["sharegpt"] | {"conversations": [turn("human", "a")]}, "no answer: the last message is of role 'user'"),
    ],
)
def test_other_lines_are_faults_of_an_eval_set(value, problem, tmp_path):
    with pytest.raises(Exception, match=problem) as caught:
        load_eval_sets([write(tmp_path / "set.jsonl", [value])], root=tmp_path)
    assert [fault.problem for fault in caught.value.faults] == [problem]


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (("--map", "input=title+body", "--map", "output=team"), ["Late\n\nWhere is it?", "Broken", "?"]),
        (("--map", "input=body+title", "--map", "output=team"), ["Where is it?\n\nLate", "Broken", "?"]),
    ],
)
def test_two_columns_are_joined(words, joined, tmp_path):
    rows = [
        {"title": "Late", "body": "Where is it?", "team": "post"},
        {"title": "Broken", "body": None, "team": "shop"},
        {"body": "?", "team": "shop"},
    ]
    target = tmp_path / "new.jsonl"
    assert invoke("prepare", write(tmp_path / "raw.jsonl", rows), "-o", target, *words).exit_code == 0
    assert [json.loads(line)["messages"][0]["content"] for line in target.read_text("utf-8").splitlines()] == joined


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--map", "input=title+bdoy", "--map", "output=team"), "no record has the column 'bdoy'"),
        (("--map", "input=title", "--map", "output=team", "--drop", "boddy"), "no record has the column 'boddy'"),
        (("--map", "input=title", "--map", "output=team"), "the column 'instruction' is not used by --map"),
        (("--map", "input=+", "--map", "output=team"), "not FIELD=COLUMN"),
    ],
)
def test_a_wrong_mapping_is_an_error_and_writes_nothing(words, problem, tmp_path):
    row = {"title": "Late", "body": "Where is it?", "team": "post"}
    if "instruction" in problem:
        row["instruction"] = "Route it."
    source = write(tmp_path / "raw.jsonl", [row])
    done = invoke("prepare", source, "-o", tmp_path / "new.jsonl", *words)
    assert done.exit_code == 2
    assert problem in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == [source]


def test_a_column_may_have_a_plus_sign_in_its_name(tmp_path):
    source, target = write(tmp_path / "raw.jsonl", [{"a+b": "one", "c": "two"}]), tmp_path / "new.jsonl"
    assert invoke("prepare", source, "-o", target, "--map", "input=a+b", "--map", "output=c").exit_code == 0
    assert json.loads(target.read_text("utf-8"))["messages"][0]["content"] == "one"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"messages": [USER, ANSWER], "solution": "4"}, "the last message is an answer"),
        ({"messages": [USER], "solution": None, "id": 7}, "nothing for a grader to compare with"),
    ],
)
def test_a_row_for_reinforcement_ends_with_the_prompt_and_has_a_column_for_the_grader(value, problem):
    with pytest.raises(RowFault, match=problem):
        NAMES["reinforcement"].read(value)


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "Rain?", "chosen": [USER, ANSWER], "rejected": [{**USER, "content": "Snow?"}, SNOW]},
        {"chosen": [USER, ANSWER, USER, ANSWER], "rejected": [USER, SNOW, USER, SNOW]},
        {"input": {"messages": [USER]}, "preferred_output": [USER, ANSWER], "non_preferred_output": [SNOW]},
        {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [USER, SNOW]},
    ],
)
def test_two_answers_to_different_prompts_are_no_preference(value):
    with pytest.raises(RowFault, match="the two answers do not follow the same prompt"):
        read_row(value)


def test_answers_of_several_messages_of_the_assistant_are_a_preference():
    call = {
        "role": "assistant",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    result = {"role": "tool", "tool_call_id": "a", "content": "rain"}
    row = read_row({"chosen": [USER, call, result, ANSWER], "rejected": [USER, SNOW]})
    assert (row.messages, row.rejected) == ([USER, call, result, ANSWER], [SNOW])


@pytest.mark.parametrize("shape", ["alpaca", "chat", "xlam", "openai-preference"])
def test_rows_of_another_shape_than_the_named_one_are_one_finding(tmp_path, shape):
    rows = [{"prompt": f"What is {number} + {number * 7}?", "completion": str(number * 8)} for number in range(40)]
    path = tmp_path / "raw.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    findings = check([path], options=CheckOptions(shape=shape), root=tmp_path).findings
    (finding,) = [each for each in findings if each.severity.word == "error"]
    assert finding.problem == f"not of the shape {shape}; its keys: 'prompt', 'completion' (40 rows)"
    assert finding.hint.startswith("leave out --shape")
