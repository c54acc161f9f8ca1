"""`init`: a first eval set that loads, from examples or from the user's own rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Reply, ScriptedServer

from pytest_finetune import evaluate, load_eval_sets
from pytest_finetune.cli import main
from pytest_finetune.lifecycle.starting.eval_set_draft import enough_cases
from pytest_finetune.lifecycle.starting.kinds import ANSWER_KINDS, draft_schema, kind_of, labels_in
from pytest_finetune.verdicts.gates.possible import impossible
from pytest_finetune.verdicts.json_schema.validation import compile_schema


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return tmp_path


def init(*words, code=0):
    result = CliRunner().invoke(main, ["init", *words], prog_name="pytest-finetune")
    assert result.exit_code == code, result.output
    return result.output


def loaded(name):
    (eval_set,) = load_eval_sets([Path("eval_sets", f"{name}.jsonl").resolve()], root=Path.cwd())
    return eval_set


def write(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return f"--from={name}"


def row(question, answer):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.mark.parametrize("kind", ANSWER_KINDS)
def test_the_examples_of_every_kind_load_and_a_right_model_ships(kind):
    output = init("first", f"--kind={kind}")
    assert output.splitlines()[-1] == "next: pytest --model=MODEL eval_sets/first.jsonl"
    eval_set = loaded("first")
    assert len(eval_set.cases) == 3
    assert not eval_set.warnings
    answers = {case.messages[-1].content: case for case in eval_set.cases}

    def right(body):
        case = answers[body["messages"][-1]["content"]]
        if case.tool_calls:
            calls = [
                {"id": "c", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in case.tool_calls
            ]
            return Reply(message={"content": None, "tool_calls": calls}, finish_reason="tool_calls")
        (expected,) = case.expected
        return expected if isinstance(expected, str) else json.dumps(expected)

    with ScriptedServer(right) as server:
        assert evaluate("eval_sets/first.jsonl", model="m", base_url=server.url).passed
    with ScriptedServer(lambda _: "wrong") as server:
        assert not evaluate("eval_sets/first.jsonl", model="m", base_url=server.url).passed


def test_without_a_terminal_the_kind_must_be_given():
    assert "stdin is not a terminal" in init(code=2)
    assert not Path("eval_sets").exists()
    init("--yes")
    assert loaded("example").settings.scorer == "label"


def test_labels_are_those_of_the_whole_file_and_the_cases_a_sample():
    rows = [row(f"q{n}", ["Bug", "bug ", "wish"][n % 3]) for n in range(299)] + [row("last", "rare")]
    init(write("tickets.jsonl", rows), "--cases=50")
    eval_set = loaded("tickets")
    assert len(eval_set.cases) == 50
    assert eval_set.settings.labels == ["Bug", "wish", "rare"]


def test_json_answers_get_a_schema_that_all_of_them_satisfy():
    rows = [
        row(f"q{n}", json.dumps({"n": n, "kind": "ab"[n % 2]} | ({"note": "x"} if n % 5 == 0 else {})))
        for n in range(40)
    ]
    init("orders", write("data.jsonl", rows))
    schema = json.loads(Path("eval_sets/orders.schema.json").read_text("utf-8"))
    assert schema["required"] == ["n", "kind"]
    assert schema["properties"]["kind"] == {"type": "string", "enum": ["a", "b"]}
    assert schema["additionalProperties"] is False
    assert loaded("orders").cases[0].expected == ({"n": 0, "kind": "a", "note": "x"},)


def test_a_csv_file_and_another_shape_are_read():
    Path("faq.csv").write_text("input,output\nCapital of Norway?,Oslo\nCapital of Peru?,Lima\n", "utf-8")
    init("--from=faq.csv")
    assert [case.expected for case in loaded("faq").cases] == [("Oslo",), ("Lima",)]
    long = "a long answer about it all, at length"
    alpaca = [{"instruction": "Name it.", "input": f"thing {n}", "output": f"{long}, number {n}"} for n in range(9)]
    init(write("alpaca.jsonl", alpaca))
    assert loaded("alpaca").settings.scorer == "f1"


@pytest.mark.parametrize("cases", [10, 90, 100, 400])
def test_the_proposed_gates_can_pass_with_so_many_cases(cases):
    init("some", write("data.jsonl", [row(f"q{n}", "ab"[n % 2]) for n in range(cases)]), f"--cases={cases}")
    settings = loaded("some").settings
    accuracy = settings.rules[0]
    text = Path("eval_sets/some.toml").read_text("utf-8")
    assert "a model at 0.96 passes with a power of 80 % from 167 cases on" in text
    assert (accuracy.confidence is not None) is (cases >= enough_cases())
    assert impossible(accuracy, cases) is None


def test_a_file_that_cannot_be_used_writes_nothing():
    Path("empty.jsonl").write_text("", "utf-8")
    assert "the file is empty" in init("--from=empty.jsonl", code=2)
    assert "unknown shape" in init(write("odd.jsonl", [{"foo": 1}]), code=2)
    assert "is not strict JSON" in init(write("text.jsonl", [row("q", "words")]), "--kind=json", code=2)
    assert "not usable as a file name" in init("../up", "--yes", code=2)
    assert not list(Path.cwd().glob("eval_sets/*"))


def test_existing_files_are_kept_unless_forced():
    init("mine", "--kind=text")
    before = Path("eval_sets/mine.jsonl").read_bytes()
    assert "exists already" in init("mine", "--kind=label", code=2)
    assert Path("eval_sets/mine.jsonl").read_bytes() == before
    init("mine", "--kind=label", "--force")
    assert loaded("mine").settings.scorer == "label"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["yes", "no", "Yes "] * 3, "label"),
        (["yes", "no"], "text"),
        (["[1]", '{"a": 2}'], "json"),
        (["1", "2"], "text"),
        (["SELECT 1", "with x as (select 2) select * from x"], "sql"),
        (["select 1", "no idea"], "text"),
        (["y" * 50] * 9, "text"),
    ],
)
def test_the_kind_of_answers(texts, kind):
    assert kind_of([{"content": text} for text in texts]) == kind


def test_labels_differ_by_more_than_capitals_and_space():
    assert labels_in(["b", "A", " a", "B", "b"]) == ["b", "A"]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2.5],
        [None, "x", True],
        [[], [1], ["a"]],
        [{"a": 1}, [1]],
        [{}, {"a": {"b": []}}],
        [{"a": None}, {"a": {"b": 1}}],
        ["x"] * 20 + ["y"] * 20,
    ],
)
def test_a_drafted_schema_accepts_what_it_was_drafted_from(values):
    schema = compile_schema(draft_schema(values), "draft")
    assert [schema.fault(value) for value in values] == [None] * len(values)


def test_a_drafted_schema_refuses_a_missing_and_an_unknown_key():
    schema = compile_schema(draft_schema([{"a": 1, "b": "x"}, {"a": 2}]), "draft")
    assert schema.fault({"b": "x"})
    assert schema.fault({"a": 1, "c": 2})
    assert schema.fault({"a": "1"})
