"""`pytest-finetune import` changes no meaning, and names what it does not carry over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_files import (
    batch_output,
    batch_request,
    completion,
    eval_config,
    result_row,
    string_check,
    write_json,
    write_jsonl,
)

from pytest_finetune.base.records import Completion
from pytest_finetune.cli import main
from pytest_finetune.evaluation.baseline import recorded_baselines
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.lifecycle.importing.yaml12 import load_yaml
from pytest_finetune.verdicts.loading import load_eval_sets

yaml = pytest.importorskip("yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def import_(*words, exit_code=0):
    result = CliRunner().invoke(main, ["import", "--json", *map(str, words)], prog_name="pytest-finetune")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout) if exit_code < 2 else " ".join(result.output.split())


def cases(name="rows"):
    return [json.loads(line) for line in Path("eval_sets", f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def configured(*rows, criteria=()):
    write_json("eval.json", eval_config(*criteria))
    return write_jsonl("rows.jsonl", *rows), "--config", "eval.json"


def promptfoo(*tests, prompt="{{text}}", **more):
    return write_json("rows.json", {"prompts": [prompt], "tests": list(tests), **more})


def asserted(kind="equals", value="b", text="a", **more):
    return {"vars": {"text": text}, "assert": [{"type": kind, "value": value, **more}]}


@pytest.mark.parametrize("other", [{"colour": "blue"}, {"item": {"question": "Q", "answer": "A"}}])
def test_a_row_of_another_form_is_skipped_with_its_keys(other):
    rows = [result_row("r", 0, "Q0", "A", "A"), other, result_row("r", 1, "Q1", "A", "A")]

    result = import_(*configured(*rows), exit_code=1)

    assert result["cases"] == 2
    assert "its keys" in result["left_out_records"][0]["reason"]


@pytest.mark.parametrize("passes", [{"match": "false"}, {"match": None}, {"match": 1}])
def test_only_true_is_a_pass_of_the_sources_graders(passes):
    run = import_(*configured(result_row("r", 0, "Q", "A", "A", passes=passes)))["runs"][0]

    assert (run["graders_agree"], run["graders_disagree"]) == (0, [])


def test_the_recorded_answer_can_be_expected_in_every_format_that_records_one():
    import_(write_jsonl("rows.jsonl", {"input": "Q", "actual_output": "A"}), "--expected=recorded")
    assert cases()[0]["messages"][-1] == {"role": "assistant", "content": "A"}

    import_(*configured(result_row("r", 0, "Q", "other", "A")), "--expected=recorded", "--force")
    assert cases()[0]["messages"][-1] == {"role": "assistant", "content": "A"}


@pytest.mark.parametrize("reason", ["length", "MAX_TOKENS", "error", "SAFETY", "unheard-of"])
def test_an_answer_that_did_not_end_by_itself_is_not_expected(reason):
    write_jsonl("in.jsonl", batch_request("a", "Q"))
    output = write_jsonl("rows.jsonl", batch_output("a", completion("cut", reason)))

    assert "cannot be expected" in import_(output, "--with=in.jsonl", exit_code=2)


def test_several_answers_to_one_request_are_repeats_and_none_of_them_is_chosen():
    body = completion("A")
    body["choices"] = [*completion("A")["choices"], *completion("B")["choices"]]
    row = {"id": "c", "messages": [{"role": "user", "content": "Q"}], **body}
    path = write_jsonl("rows.jsonl", row)

    assert "it has 2 recorded answers" in import_(path, exit_code=2)
    assert import_(path, "--expected=A")["runs"][0]["accuracy"] == 0.5


def test_one_page_of_a_longer_list_is_named():
    row = {"messages": [{"role": "user", "content": "Q"}], **completion("A")}
    path = write_json("rows.json", {"object": "list", "data": [row], "has_more": True})

    assert "fetch the others" in import_(path, exit_code=1)["left_out_records"][0]["reason"]


def test_an_error_after_the_eval_set_was_written_says_so():
    Path("file").write_text("", encoding="utf-8")
    path = write_jsonl("rows.jsonl", {"input": "Q", "actual_output": "A", "expected_output": "A"})

    output = import_(path, "--runs-dir=file/runs", exit_code=2)

    assert "eval_sets/rows.jsonl was written, but its answers were not all recorded" in output
    assert cases()


@pytest.mark.parametrize(
    ("row", "options", "flag"),
    [
        ({"input": "a", "target": "b"}, ["--config=x.json"], "--config"),
        ({"input": "a", "actual_output": "b", "expected_output": "c"}, ["--choices"], "--choices"),
        ({"prompts": ["a"], "tests": []}, ["--expected=b"], "--expected"),
        ({"messages": [{"role": "user", "content": "Q"}], **completion("A")}, ["--prompt=Q"], "--prompt"),
    ],
)
def test_an_option_that_the_format_does_not_use_is_refused(row, options, flag):
    write_json("x.json", eval_config())

    assert f"{flag} has no use here" in import_(write_jsonl("rows.jsonl", row), *options, exit_code=2)


@pytest.mark.parametrize(("answer", "expected"), [(42, "42"), ("42", "42")])
def test_a_number_that_a_grader_compares_as_text_is_expected_as_text(answer, expected):
    import_(*configured(result_row("r", 0, "Q", answer, "42")))

    assert cases()[0]["expected"] == [expected]


@pytest.mark.parametrize("answer", [True, ["a", "b"], {"a": 1}])
def test_a_reference_whose_text_is_not_known_skips_its_row(answer):
    assert "compares texts" in import_(*configured(result_row("r", 0, "Q", answer, "42")), exit_code=2)


def test_a_template_that_is_no_message_skips_the_rows():
    write_json("eval.json", eval_config(input_messages={"type": "template", "template": ["Q"]}))
    row = write_jsonl("rows.jsonl", {"item": {"answer": "A"}})

    assert "not text" in import_(row, "--config=eval.json", exit_code=2)


def test_a_criterion_is_carried_over_or_named():
    criteria = [string_check(), string_check(name="other", operation="ne"), {"type": "python", "name": "code"}]

    result = import_(*configured(result_row("r", 0, "Q", "A", "A"), criteria=criteria), exit_code=1)

    assert [each.split(":")[0] for each in result["not_carried"]] == ["grader 'code' (python)"]
    assert [each["name"] for each in result["settings"]["scorers"]][1:] == ["other"]


@pytest.mark.parametrize("expected", [{"label": "bug"}, ["bug"]])
def test_an_expected_object_with_one_key_stays_an_object(expected):
    import_(write_jsonl("rows.jsonl", {"input": "Q", "expected": expected, "output": {"label": "bug"}}))

    assert cases()[0]["expected"] == (expected if isinstance(expected, list) else [expected])


def test_inputs_next_to_the_messages_are_not_dropped():
    inputs = {"messages": [{"role": "user", "content": "Q"}], "context": "C"}

    assert "'messages', 'context'" in import_(
        write_jsonl("rows.jsonl", {"inputs": inputs, "outputs": {"a": "A"}}), exit_code=2
    )


def sample(number, *, filter_="none", resps=("4",), arguments=None):
    arguments = arguments or [[f"Q{number}", {"until": ["."]}]]
    return {
        "doc_id": number,
        "doc": {"n": number},
        "target": "4",
        "arguments": arguments,
        "resps": [list(resps)],
        "filter": filter_,
    }


def test_samples_of_several_filters_are_cases_once():
    rows = [sample(number, filter_=name) for name in ("strict", "flexible") for number in range(2)]

    result = import_(write_jsonl("rows.jsonl", *rows), exit_code=1)

    assert result["cases"] == 2
    assert "filter 'flexible': the same samples as those of 'strict'" in result["not_carried"]


def test_repeats_of_a_sample_are_all_recorded():
    assert import_(write_jsonl("rows.jsonl", sample(0, resps=("4", "5"))))["runs"][0]["accuracy"] == 0.5


def test_ranked_continuations_are_no_answers():
    row = {"doc_id": 0, "doc": {}, "target": 1, "arguments": [["Q", " A"], ["Q", " B"]]}
    row["resps"] = [[["-1.0", "False"]], [["-2.0", "False"]]]

    assert "it ranks given continuations" in import_(write_jsonl("rows.jsonl", row), exit_code=2)


@pytest.mark.parametrize(
    ("test", "more", "message"),
    [
        (asserted(), {"prompt": "prompts/chat.txt"}, "the prompt is not written in the file itself"),
        (asserted(), {"prompt": "langfuse://support:3"}, "the prompt is not written in the file itself"),
        (asserted(), {"prompt": "{{ text[0] }}"}, "expressions or statements"),
        (asserted(), {"prompt": "{{- text -}}"}, "expressions or statements"),
        (asserted(), {"prompt": "{{text}} {# note #}"}, "expressions or statements"),
        (asserted(text="{{ other }}"), {}, "is a template itself"),
        (asserted("contains-any", "a, b"), {}, "no assertion with an equal scorer"),
        (asserted("equals", ["a", "b"]), {}, "no assertion with an equal scorer"),
        (asserted("equals", value=True), {}, "no assertion with an equal scorer"),
        (asserted(transform="output.trim()"), {}, "no assertion with an equal scorer"),
        (asserted(weight=0), {}, "no assertion with an equal scorer"),
        (asserted() | {"options": {"transform": "output.trim()"}}, {}, "changes what is sent or scored"),
        (asserted(), {"defaultTest": {"options": {"prefix": "Hi"}}}, "changes what is sent or scored"),
        (asserted(), {"defaultTest": "file://default.yaml"}, "defaultTest is not written in the file"),
        (asserted() | {"assert": {"type": "equals", "value": "b"}}, {}, "its assertions are not a list"),
    ],
)
def test_a_test_of_promptfoo_with_another_meaning_is_skipped(test, more, message):
    assert message in import_(promptfoo(test, **more), exit_code=2)


@pytest.mark.parametrize(("value", "expected"), [(5, "5"), (5.0, "5"), ("no", "no")])
def test_a_value_of_promptfoo_is_compared_as_its_text(value, expected):
    import_(promptfoo(asserted(value=value)))

    assert cases()[0]["expected"] == [expected]


@pytest.mark.parametrize(
    ("kind", "answer", "right"),
    [
        ("regex", "order 66 is here", True),
        ("regex", "none", False),
        ("not-regex", "order 66 is here", False),
        ("not-regex", "none", True),
    ],
)
def test_a_pattern_of_promptfoo_is_searched_for_in_the_answer(kind, answer, right):
    import_(promptfoo(asserted(kind, "[0-9]+")))

    (eval_set,) = load_eval_sets([Path("eval_sets", "rows.jsonl").resolve()], root=Path.cwd())

    assert eval_set.scorer.score(eval_set.cases[0], Completion(answer)).passed is right


@pytest.mark.parametrize(
    "more", [{"scenarios": [{"config": []}]}, {"providers": [{"id": "openai:x", "config": {"temperature": 0}}]}]
)
def test_other_parts_of_a_configuration_are_named(more):
    assert import_(promptfoo(asserted(), **more), exit_code=1)["not_carried"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("{1: a}", {"1": "a"}),
        ("[a: &a {x: 1}, b: {<<: *a, y: 2}]", [{"a": {"x": 1}}, {"b": {"x": 1, "y": 2}}]),
    ],
)
def test_yaml_is_read_as_version_1_2(text, value):
    assert load_yaml(text) == value


LAUGHS = "\n".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]" for before, one in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"a: &a [x]\n{LAUGHS}", "stand for more than"),
        ("a: &a [*a]", "refers to a node that contains it"),
        ("a: 1\na: 2", "'a' is repeated"),
        ("a: !!binary aGk=", "no value for the tag"),
        ("a: !!python/object/apply:os.getcwd []", "no value for the tag"),
        ("? [a]\n: b", "not text"),
    ],
)
def test_yaml_that_is_hostile_or_ambiguous_is_refused(text, problem):
    with pytest.raises(yaml.YAMLError, match=problem):
        load_yaml(text)


def test_a_gate_against_production_does_not_count_imported_answers_as_productions():
    write_jsonl("rows.jsonl", {"input": "Q", "actual_output": "A", "expected_output": "A"})
    (run,) = import_("rows.jsonl")["runs"]
    (eval_set,) = load_eval_sets([Path("eval_sets/rows.jsonl")], root=Path.cwd())
    record = RunStore(Path(".finetune", "runs")).find(run["run"])
    (baseline,) = recorded_baselines("replay:production", record, [eval_set]).values()
    assert baseline.doubt == "its answers were recorded elsewhere"
