"""Questions of the Berkeley Function Calling Leaderboard become cases that accept what it accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_files import write_jsonl

from pytest_finetune.base.records import Completion, ToolCall
from pytest_finetune.cli import main
from pytest_finetune.verdicts.loading import load_eval_sets

STRING = {"type": "string"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def function(name, *required, **properties):
    return {
        "name": name,
        "description": "d",
        "parameters": {"type": "dict", "properties": properties, "required": required},
    }


def question(name, *functions, text="Do it.", **more):
    return {"id": name, "question": [[{"role": "user", "content": text}]], "function": [*functions], **more}


def right(name, *calls):
    return {"id": name, "ground_truth": [*calls]}


def import_(questions, answers=(), exit_code=0):
    write_jsonl(Path("BFCL_v4_some.json"), *questions)
    words = []
    if answers:
        Path("possible_answer").mkdir(exist_ok=True)
        write_jsonl(Path("possible_answer/BFCL_v4_some.json"), *answers)
        words = ["--with", "possible_answer/BFCL_v4_some.json"]
    result = CliRunner().invoke(main, ["import", "BFCL_v4_some.json", *words, "--force", "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout) if exit_code < 2 else result.output


def reason(questions, answers=()):
    """Why the only question was skipped."""
    good = question("good", function("f"), ground_truth=[{"f": {}}])
    (skipped,) = import_([good, *questions], answers, exit_code=1)["left_out_records"]
    return skipped["reason"]


def passes(number, *calls):
    (eval_set,) = load_eval_sets([Path("eval_sets/BFCL_v4_some.jsonl").absolute()], root=Path.cwd())
    case = eval_set.cases[number]
    made = tuple(ToolCall(name, json.dumps(arguments)) for name, arguments in calls)
    return eval_set.scorer.score(case, Completion("" if made else "I cannot.", tool_calls=made)).passed


def test_the_right_values_of_each_argument_pass_and_no_others():
    asked = question(
        "simple_3", function("trip.book", "to", to=STRING, seats={"type": "integer"}, price={"type": "float"})
    )
    import_([asked], [right("simple_3", {"trip.book": {"to": ["Bergen", "BGO"], "seats": [2, 3], "price": ["", 9.5]}})])
    for arguments in ({"to": "Bergen", "seats": 2}, {"to": "BGO", "seats": 3}, {"to": "BGO", "seats": 2, "price": 9.5}):
        assert passes(0, ("trip_book", arguments))
    for arguments in (
        {"to": "Bergen"},
        {"to": "Oslo", "seats": 2},
        {"to": "Bergen", "seats": 2, "price": 9},
        {"to": "Bergen", "seats": 2, "class": "first"},
    ):
        assert not passes(0, ("trip_book", arguments))
    assert not passes(0)


def test_parallel_calls_pass_in_any_order():
    asked = question("parallel_0", function("weather", "city", city=STRING, unit=STRING))
    calls = [{"weather": {"city": [city, f"{city}, NO"], "unit": ["", "C"]}} for city in ("Oslo", "Bodo")]
    import_([asked], [right("parallel_0", *calls)])
    assert passes(0, ("weather", {"city": "Bodo, NO", "unit": "C"}), ("weather", {"city": "Oslo"}))
    assert not passes(0, ("weather", {"city": "Bodo"}))
    assert not passes(0, ("weather", {"city": "Bodo"}), ("weather", {"city": "Bodo, NO"}))


def test_objects_have_right_values_of_their_own():
    size = {"type": "dict", "properties": {"size": STRING, "milk": STRING}}
    asked = question(
        "live_simple_1", function("drink", "as_", as_=size, extras={"type": "array", "items": {"type": "dict"}})
    )
    values = {"as_": [{"size": ["L", "large"], "milk": ["oat", ""]}], "extras": [[{"name": ["sugar", "honey"]}], ""]}
    import_([asked], [right("live_simple_1", {"drink": values})])
    assert passes(0, ("drink", {"as_": {"size": "large"}}))
    assert passes(0, ("drink", {"as_": {"size": "L", "milk": "oat"}, "extras": [{"name": "honey"}]}))
    assert not passes(0, ("drink", {"as_": {"size": "small"}}))
    assert not passes(0, ("drink", {"as_": {"size": "L"}, "extras": []}))


def test_no_call_is_right_where_no_function_is_relevant():
    import_([question("live_irrelevance_7-0", function("weather", city=STRING))])
    assert passes(0)
    assert not passes(0, ("weather", {"city": "Oslo"}))


@pytest.mark.parametrize(
    ("asked", "answers", "problem"),
    [
        (question("a", function("f")), (), "add that file by --with"),
        (question("a", function("f")), [right("b", {"f": {}})], "has no right calls for its id"),
        (question("a", function("f"), ground_truth=["f()"]), (), "judged by running code"),
        (question("a", function("f"), ground_truth=[{"g": {}}]), (), "calls 'g', which is not one of its functions"),
        (question("a", function("f"), ground_truth=[{"f": {"x": 1}}]), (), "$.f.x has no list of right values"),
        (question("a", function("f"), ground_truth=[{"f": []}]), (), "is an array, not an object"),
        (question("a", function("f"), ground_truth=[{}]), (), "does not name one function"),
        (question("a", function("f", x={"type": "ArrayList"}), ground_truth=[{"f": {}}]), (), "Java or JavaScript"),
        (
            question("a", function("f", x={"type": "integer"}), ground_truth=[{"f": {"x": ["y"]}}]),
            (),
            "right call is invalid",
        ),
        (question("a", function("f", x={"type": "strnig"}), ground_truth=[{"f": {}}]), (), "no JSON Schema"),
        (
            question("a", function("f.g"), function("f_g"), ground_truth=[{"f.g": {}}]),
            (),
            "two functions have the name 'f_g'",
        ),
        (question("a", {"parameters": {}}, ground_truth=[{"f": {}}]), (), "a function has no name"),
        (question("a", function("f"), ground_truth=[{"f": {}}]) | {"question": [[], []]}, (), "it has 2 turns"),
        (question("a", function("f"), ground_truth=[{"f": {}}]) | {"question": []}, (), "not a list of messages"),
        (
            question(
                "a",
                function("f", x={"type": "dict"}),
                ground_truth=[{"f": {"x": [{key: [1, 2] for key in "abcdefghi"}]}}],
            ),
            (),
            "more than 200 right values",
        ),
        ({"id": "a", "text": "other"}, (), "it has another form than the first row"),
    ],
)
def test_what_cannot_be_carried_over_is_skipped_with_its_reason(asked, answers, problem):
    assert problem in reason([asked], answers)


def test_json_lines_in_a_json_file_are_read_row_by_row():
    write_jsonl(Path("pairs.json"), *[{"input": f"Word {n}?", "expectedOutput": "a"} for n in range(3)])
    result = CliRunner().invoke(main, ["import", "pairs.json", "--json"])
    assert (result.exit_code, json.loads(result.stdout)["cases"]) == (0, 3)


def test_answers_of_two_rows_with_one_id_are_refused():
    output = import_([question("a", function("f"))], [right("a", {"f": {}}), right("a", {"f": {}})], exit_code=2)
    assert "possible_answer/BFCL_v4_some.json:2: duplicate id 'a'" in output
    assert not Path("eval_sets").exists()
