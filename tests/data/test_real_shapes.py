"""Files in the shapes of well-known data sets: each fault is found once, with a remedy that works."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.codes import codes_wanted

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jolly", "karst", "lemon"]


def question(number):
    return (
        f"What is a {WORDS[number % 12]} {WORDS[number // 12 % 12]} worth in {number * 37} {WORDS[number % 7]} coins?"
    )


def rows(make, count=40):
    return [make(number) for number in range(count)]


def message(role, text):
    return {"role": role, "content": text}


# The questions are similar on purpose, and few.
CODES = codes_wanted(ignore=("few_examples", "near_duplicate"))


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Write rows, check them, and return the findings by code."""
    monkeypatch.chdir(tmp_path)

    def of(values, name="raw.jsonl", shape=""):
        (tmp_path / name).write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
        codes = {}
        for each in check([tmp_path / name], options=CheckOptions(codes=CODES, shape=shape), root=tmp_path).findings:
            codes.setdefault(each.code, []).append(each)
        return codes

    return of


def run_hint(hint):
    command = hint[hint.index("pytest-finetune ") :].split()
    result = CliRunner().invoke(main, command[1:])
    assert result.exit_code == 0, result.output


def test_a_row_that_lacks_a_column_is_read_like_the_others(found):
    values = rows(lambda n: {"prompt": question(n), "completion": f"{n} of them"})
    del values[20]["completion"]
    codes = found(values)
    assert [(each.line, each.problem) for each in codes.pop("missing_content")] == [
        (21, "no column 'completion': the record has 'prompt'")
    ]
    assert [*codes] == ["other_shape"]
    assert codes["other_shape"][0].hint.startswith("convert: ")


def test_a_pair_with_a_null_answer_is_no_chat(found):
    def pair(n):
        asked = message("user", question(n))
        good, bad = (message("assistant", f"{word} {n}") for word in ("yes", "no"))
        return {"prompt": question(n), "chosen": [asked, good], "rejected": [asked, bad], "messages": [asked, good]}

    values = rows(pair)
    values[7]["rejected"] = None
    codes = found(values)
    assert [(each.line, each.problem) for each in codes["missing_content"]] == [(8, "rejected is null")]
    assert {*codes} == {"missing_content", "other_shape"}


def test_rows_of_reinforcement_with_a_broken_one_are_still_of_that_method(found):
    values = rows(lambda n: {"messages": [message("user", question(n))], "ground_truth": n})
    values[3]["messages"] = []
    values[5]["messages"].append(message("assistant", "4"))
    (other,) = found(values)["other_shape"]
    assert "another method" in other.problem
    assert other.hint == "if you train with that method, say so: --shape reinforcement"
    (left,) = found(values, shape="reinforcement").values()
    assert [(each.line, each.problem) for each in left] == [
        (4, "messages is an empty list"),
        (6, "the last message is an answer"),
    ]


def test_preferences_conflict_only_if_the_same_answers_are_in_the_other_order(found, tmp_path):
    pairs = [("Ann", "Bob"), ("Ann", "Cid"), ("Cid", "Dan"), ("Cid", "Ann")]
    values = rows(lambda n: {"prompt": question(n), "chosen": f"good {n}", "rejected": f"bad {n}"})
    values += [{"prompt": "Who won?", "chosen": good, "rejected": bad} for good, bad in pairs]
    codes = found(values)
    assert [(each.line, each.other) for each in codes["conflicting_answers"]] == [(44, "raw.jsonl:42")]
    assert not [
        each for each in check([tmp_path / "raw.jsonl"]).findings if each.line > 40 and each.code == "near_duplicate"
    ]


def test_conversations_as_one_text_are_read_as_turns(found, tmp_path):
    def transcript(n, answer):
        return f"\n\nHuman: {question(n)}\n\nAssistant: Which kind?\n\nHuman: The old kind.\n\nAssistant: {answer}"

    values = rows(lambda n: {"chosen": transcript(n, f"{n} and more"), "rejected": transcript(n, "Human: no idea")})
    codes = found(values)
    assert [*codes] == ["other_shape"]
    run_hint(codes["other_shape"][0].hint)
    first = json.loads((tmp_path / "NEW.jsonl").read_text("utf-8").splitlines()[0])
    assert [each["role"] for each in first["input"]["messages"]] == ["user", "assistant", "user"]
    assert first["preferred_output"] == [message("assistant", "0 and more")]
    assert first["non_preferred_output"] == [message("assistant", "Human: no idea")]


def test_columns_with_other_names_are_named_in_the_command(found, tmp_path):
    values = rows(lambda n: {"context": f"Paper {n}", "problem": question(n), "solution": f"{n}", "level": "hard"})
    (finding,) = found(values)["missing_messages_list"]
    run_hint(finding.hint)
    first = json.loads((tmp_path / "NEW.jsonl").read_text("utf-8").splitlines()[0])
    assert first["messages"] == [message("user", f"{question(0)}\n\nPaper 0"), message("assistant", "0")]


def test_one_column_of_text_cannot_be_divided_by_an_option(found):
    (finding,) = found(rows(lambda n: {"content": f"User: {question(n)} Bot: {n}"}))["missing_messages_list"]
    assert "--map" not in finding.hint


def test_a_table_is_one_finding_with_the_command_that_reads_it(tmp_path):
    path = tmp_path / "sheet.tsv"
    path.write_bytes("q\ta\r\nGr\xfcn?\tja\r\n".encode("latin-1") * 30)
    (finding,) = check([path], root=tmp_path).findings
    assert (finding.code, finding.line) == ("file_type", 0)
    assert "data prepare sheet.tsv" in finding.hint


def test_the_command_for_another_shape_drops_what_that_shape_does_not_use(found, tmp_path):
    def seen(n):
        turns = [{"from": "human", "value": f"<image>\n{question(n)}"}, {"from": "gpt", "value": f"{n}"}]
        return {"id": n, "image": f"train/{n}.jpg", "conversations": turns}

    codes = found(rows(seen))
    assert {*codes} == {"other_shape", "unused_column"}
    run_hint(codes["other_shape"][0].hint)
    assert len((tmp_path / "NEW.jsonl").read_text("utf-8").splitlines()) == 40


@pytest.mark.parametrize("column", ["image", "videos"])
def test_rows_that_differ_in_their_picture_are_no_duplicates_and_others_are(found, column):
    def seen(n, picture):
        turns = [{"from": "human", "value": "<image>\nWhat is on the picture?"}, {"from": "gpt", "value": f"thing {n}"}]
        return {"id": n, column: picture, "conversations": turns}

    assert {*found(rows(lambda n: seen(n, f"{n}.jpg")))} == {"other_shape", "unused_column"}
    assert "conflicting_answers" in found(rows(lambda n: seen(n, "same.jpg")))


def test_functions_of_xlam_without_parameters_are_definitions_that_servers_accept(found, tmp_path):
    def call(n):
        tool = {"name": f"get_{WORDS[n % 12]}", "description": "d", "parameters": {}}
        answers = [{"name": tool["name"], "arguments": {}}]
        return {"query": question(n), "tools": json.dumps([tool]), "answers": json.dumps(answers)}

    codes = found(rows(call))
    assert [*codes] == ["other_shape"]
    run_hint(codes["other_shape"][0].hint)
    assert check([tmp_path / "NEW.jsonl"], options=CheckOptions(codes=CODES)).findings == ()


def test_an_answer_to_a_function_of_another_name_is_reported_with_its_call_only(found):
    def called(n, name="find"):
        asked = {"role": "assistant", "function_call": {"name": name, "arguments": "{}"}}
        answer = {"role": "function", "name": "find", "content": "12"}
        turns = [message("user", question(n)), asked, answer, message("assistant", f"{n}")]
        return {"messages": turns, "functions": [{"name": "find"}, {"name": "sell"}]}

    values = rows(called)
    values[4] = called(4, "fnd")
    codes = found(values)
    assert {*codes} == {"unknown_tool", "deprecated_functions"}
    values[4] = called(4, "sell")
    (finding,) = found(values)["tool_answer_unmatched"]
    assert (finding.path, finding.problem) == ("$.messages[2].name", "no open call has the name of this answer")


def test_an_empty_cell_among_json_answers_is_one_finding(found):
    values = rows(
        lambda n: {"messages": [message("user", question(n)), message("assistant", json.dumps({"n": n}))]}, 120
    )
    values[9]["messages"][1]["content"] = "#REF!"
    values[10]["messages"][1]["content"] = "<nooutput>"
    values[11]["messages"][1]["content"] = "#WERT!"
    values[12]["messages"][1]["content"] = "#¿NOMBRE?"
    assert {code: len(each) for code, each in found(values).items()} == {"empty_cell": 4}


def test_another_spelling_of_a_label_is_not_rare_as_well(found):
    labels = ["refund", "change", "Refund "]
    values = rows(lambda n: {"messages": [message("user", question(n)), message("assistant", labels[n % 2])]}, 120)
    values[8]["messages"][1]["content"] = "REFUND"
    codes = found(values)
    assert {*codes} == {"label_variant"}


def test_an_empty_answer_is_not_called_an_input(found):
    values = rows(lambda n: {"messages": [message("user", question(n)), message("assistant", f"{n}")]})
    values[6]["messages"][1]["content"] = ""
    (finding,) = found(values)["missing_content"]
    assert finding.hint == "write the answer, or remove the row"


@pytest.mark.parametrize("at", [0, 20])
def test_a_column_for_the_grader_is_not_reported_in_a_row_with_an_answer(found, at):
    values = rows(lambda n: {"messages": [message("user", question(n))], "reference_answer": n})
    values[at]["messages"].append(message("assistant", "4"))
    assert {*found(values)} == {"other_shape"}
