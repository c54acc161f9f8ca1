"""`pytest-finetune import`: each format becomes cases, settings and runs; what has no equal is reported."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_files import (
    batch_output,
    batch_request,
    completion,
    eval_config,
    result_row,
    similarity,
    string_check,
    write_json,
    write_jsonl,
)

from pytest_finetune.cli import main
from pytest_finetune.evaluation.runs import RunStore
from pytest_finetune.verdicts.loading import load_eval_sets


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def import_(source, *words, exit_code=0):
    result = CliRunner().invoke(main, ["import", str(source), *map(str, words), "--json"], prog_name="pytest-finetune")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout) if exit_code < 2 else result.output


def imported_set(name):
    (eval_set,) = load_eval_sets([Path("eval_sets", f"{name}.jsonl").absolute()], root=Path.cwd())
    return eval_set


def wire(case):
    return [message.to_wire() for message in case.messages]


def states(run):
    samples = RunStore(Path(".finetune", "runs")).find(run["run"]).samples().values()
    return {(sample.case_id, sample.attempt): str(sample.state) for sample in samples}


def test_results_of_the_dashboard_become_one_set_and_a_run_for_each_of_theirs():
    rows = [
        result_row("r1", 0, "Capital of Norway?", "Oslo", "Oslo", passes={"match": True}),
        result_row("r1", 1, "Capital of Chad?", "N'Djamena", "Paris", passes={"match": False}),
        result_row("r2", 0, "Capital of Norway?", "Oslo", "oslo", passes={"match": False}),
        result_row("r2", 1, "Capital of Chad?", "N'Djamena", "N'Djamena", passes={"match": True}),
    ]
    write_json("eval.json", eval_config(sampling_params={"temperature": 0, "max_completions_tokens": 9}))

    found = import_(write_jsonl("capitals.jsonl", *rows), "--config", "eval.json")

    eval_set = imported_set("capitals")
    assert [case.expected for case in eval_set.cases] == [("Oslo",), ("N'Djamena",)]
    assert wire(eval_set.cases[0]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital of Norway?"},
    ]
    assert (eval_set.settings.scorer, eval_set.settings.normalize) == ("exact", [])
    assert eval_set.settings.request.max_completion_tokens == 9
    first, second = found["runs"]
    assert states(first) == {("case-1", 0): "passed", ("case-2", 0): "missed"}
    assert states(second) == {("case-1", 0): "missed", ("case-2", 0): "passed"}
    assert [run["graders_agree"] for run in found["runs"]] == [2, 2]
    assert all(run["closed"] for run in found["runs"])


def test_a_row_without_passes_is_not_a_success_and_a_null_error_is_not_an_error():
    rows = [
        result_row("r", 0, "2 + 2?", "4", "5"),
        result_row("r", 1, "3 + 3?", "6", "6", passes={}),
    ]
    write_json("eval.json", eval_config())

    (run,) = import_(write_jsonl("sums.jsonl", *rows), "--config", "eval.json")["runs"]

    assert states(run) == {("case-1", 0): "missed", ("case-2", 0): "passed"}
    assert (run["graders_agree"], run["graders_disagree"]) == (0, [])


def test_graders_that_disagree_with_the_scorer_are_named():
    row = result_row("r", 0, "2 + 2?", "4", "four", passes={"match": True})
    write_json("eval.json", eval_config())

    (run,) = import_(write_jsonl("sums.jsonl", row), "--config", "eval.json")["runs"]

    assert run["graders_disagree"] == ["case-1"]


def test_an_answer_that_is_an_error_is_an_error_in_the_run_and_tolerated_by_a_setting():
    good = result_row("r", 0, "2 + 2?", "4", "4")
    broken = result_row("r", 1, "3 + 3?", "6", "") | {"sample": {"error": {"message": "overloaded"}}}
    write_json("eval.json", eval_config())

    found = import_(write_jsonl("sums.jsonl", good, broken), "--config", "eval.json")

    (run,) = found["runs"]
    assert states(run) == {("case-1", 0): "passed", ("case-2", 0): "error"}
    assert run["closed"]
    assert imported_set("sums").settings.max_errors == 1
    assert "max_errors = 1" in found["notes"][0]


def test_the_same_case_twice_in_a_run_is_a_repeat():
    row = result_row("r", 0, "2 + 2?", "4", "4")
    write_json("eval.json", eval_config())

    (run,) = import_(write_jsonl("sums.jsonl", row, row), "--config", "eval.json")["runs"]

    assert states(run) == {("case-1", 0): "passed", ("case-1", 1): "passed"}
    assert imported_set("sums").repeats == 2


@pytest.mark.parametrize(
    ("operation", "settings"),
    [
        ("eq", ("exact", [])),
        ("like", ("contains", [])),
        ("ilike", ("contains", ["casefold"])),
        ("ne", ("not", [])),
    ],
)
def test_string_checks_become_the_scorer_that_means_the_same(operation, settings):
    write_json("eval.json", eval_config(string_check(operation=operation)))

    import_(write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": "A"}}), "--config", "eval.json")

    loaded = imported_set("data").settings
    assert (loaded.scorer, loaded.normalize) == settings


@pytest.mark.parametrize(
    ("grader", "reason"),
    [
        ({"type": "label_model", "name": "tone"}, "a model as judge"),
        ({"type": "score_model", "name": "tone"}, "a model as judge"),
        (
            {"type": "python", "name": "code", "source": "def grade(sample, item): return 1.0"},
            "has no pass_threshold",
        ),
        ({"type": "multi", "name": "both", "calculate_output": "0.5 * a"}, "the formula '0.5 * a'"),
        ({"type": "telepathy", "name": "new"}, "unknown type"),
        (string_check(input="{{ item.question }}"), "not the answer's text"),
        (similarity(evaluation_metric="meteor"), "no scorer for the metric 'meteor'"),
        (similarity(pass_threshold=None), "has no pass_threshold"),
        (string_check(operation="matches"), "no scorer for the operation 'matches'"),
        (string_check(reference=""), "has no reference"),
    ],
)
def test_graders_without_an_equal_scorer_are_reported(grader, reason):
    write_json("eval.json", eval_config(string_check(), grader))

    data = write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": "A"}})
    found = import_(data, "--config", "eval.json", exit_code=1)

    (text,) = found["not_carried"]
    assert reason in text
    assert found["cases"] == 1


def test_several_graders_become_scorers_of_one_set():
    second = similarity(name="close: enough?", reference="{{ item.long }}")
    write_json(
        "eval.json", eval_config(string_check(name="right"), second, string_check(name="right", operation="like"))
    )
    item = {"question": "Q?", "answer": "A", "long": "A it is"}
    found = import_(write_jsonl("data.jsonl", {"item": item}), "--config", "eval.json")
    assert found["not_carried"] == {}
    loaded = imported_set("data")
    assert [each.title for each in loaded.settings.scorers] == ["right", "close: enough", "right-2"]
    assert [each.decides for each in loaded.settings.scorers] == [True, False, False]
    (case,) = loaded.cases
    assert case.expected == ("A",)
    assert case.metadata == {"expected_close: enough": "A it is", "long": "A it is"}


@pytest.mark.parametrize("of", [dict, list])
def test_the_graders_of_a_multi_grader_are_scorers_and_its_formula_is_reported(of):
    parts = {"same": string_check(name="same"), "near": similarity(name="near"), "tone": {"type": "score_model"}}
    graders = parts if of is dict else [{"name": name, **each} for name, each in parts.items()]
    multi = {"type": "multi", "name": "all", "graders": graders, "calculate_output": "0.7 * same + 0.3 * near"}
    write_json("eval.json", eval_config(multi))
    data = write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": "A"}})
    found = import_(data, "--config", "eval.json", exit_code=1)
    assert [each.title for each in imported_set("data").settings.scorers] == ["all/same", "all/near"]
    formula, judge = found["not_carried"]
    assert "0.7 * same + 0.3 * near" in formula
    assert judge.startswith("grader 'all/tone' (score_model)")


def test_a_row_that_lacks_what_a_second_grader_expects_is_skipped():
    write_json("eval.json", eval_config(string_check(name="a"), string_check(name="b", reference="{{ item.other }}")))
    rows = [{"item": {"question": "Q?", "answer": "A", "other": "B"}}, {"item": {"question": "P?", "answer": "A"}}]
    found = import_(write_jsonl("data.jsonl", *rows), "--config", "eval.json", exit_code=1)
    assert [each["reason"] for each in found["left_out_records"]] == ["the row has no 'item.other'"]


@pytest.mark.parametrize("graders", [None, 3, "x", [], {}, [None, 3], {"a": None}])
def test_a_multi_grader_without_graders_breaks_nothing(graders):
    write_json("eval.json", eval_config(string_check(), {"type": "multi", "graders": graders}))
    data = write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": "A"}})
    assert import_(data, "--config", "eval.json", exit_code=1)["cases"] == 1
    assert imported_set("data").settings.scorer == "exact"


@pytest.mark.parametrize(("metric", "scorer"), [("fuzzy_match", "fuzzy"), ("rouge_l", "rouge_l"), ("bleu", "bleu")])
def test_similarities_become_graded_scorers_with_their_threshold(metric, scorer):
    write_json("eval.json", eval_config(similarity(evaluation_metric=metric)))

    import_(write_jsonl("data.jsonl", {"item": {"question": "Q?", "answer": "the cat"}}), "--config", "eval.json")

    settings = imported_set("data").settings
    assert (settings.scorer, settings.scorer_options) == (scorer, {"threshold": 0.8})


def test_a_dump_of_the_api_has_prompts_criteria_and_answers_in_one_file():
    sample = {
        "input": [{"role": "user", "content": "Label: it crashes"}],
        "output": [{"role": "assistant", "content": "A BUG"}],
        "finish_reason": "stop",
        "model": "ft:gpt-4o",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "error": None,
    }
    item = {
        "datasource_item": {"text": "it crashes", "label": "bug"},
        "datasource_item_id": 7,
        "results": [{"name": "match", "passed": True}],
        "sample": sample,
    }
    flat = {
        "datasource_item": {"text": "it is slow", "label": "bug", "sample.output_text": "a feature"},
        "datasource_item_id": 8,
        "results": [{"name": "match", "passed": None}],
    }
    template = [{"role": "user", "content": "Label: {{ item.text }}"}]
    dump = {
        "eval": {"id": "eval_1", "testing_criteria": [string_check("{{ item.label }}", "ilike")]},
        "run": {
            "id": "run_1",
            "model": "ft:gpt-4o",
            "data_source": {"type": "completions", "input_messages": {"type": "template", "template": template}},
        },
        "output_items": [item, flat],
    }

    (run,) = import_(write_json("dump.json", dump))["runs"]

    assert [wire(case)[-1]["content"] for case in imported_set("dump").cases] == [
        "Label: it crashes",
        "Label: it is slow",
    ]
    assert states(run) == {("case-1", 0): "passed", ("case-2", 0): "missed"}
    assert (run["name"], run["model"], run["graders_agree"]) == ("run_1", "ft:gpt-4o", 1)


def test_a_batch_expects_its_recorded_answers_with_the_parameters_that_all_requests_share():
    write_jsonl("requests.jsonl", *(batch_request(f"c{n}", f"Say {n}", temperature=0.5, seed=n) for n in range(3)))
    outputs = [
        batch_output("c1", completion("1")),
        batch_output("c0", completion("0")),
        batch_output("c2", {"error": {"message": "expired"}}, 500),
    ]

    found = import_(write_jsonl("batch.jsonl", *outputs), "--with", "requests.jsonl", exit_code=1)

    eval_set = imported_set("batch")
    assert {case.id: (wire(case)[0]["content"], *case.expected) for case in eval_set.cases} == {
        "c1": ("Say 1", "1"),
        "c0": ("Say 0", "0"),
    }
    assert eval_set.settings.request.temperature == 0.5
    assert list(found["not_carried"]) == ["parameter seed: it differs between requests"]
    assert [(each["line"], each["reason"]) for each in found["left_out_records"]] == [
        (3, "no answer is recorded that could be expected")
    ]
    assert found["runs"][0]["accuracy"] == 1.0


def test_parameters_of_a_batch_are_carried_over_where_the_settings_have_them():
    parameters = {
        "temperature": 0,
        "max_completions_tokens": 9,
        "response_format": {"type": "json_object"},
        "logit_bias": {"50256": None},
        "repetition_penalty": 1.1,
    }
    write_jsonl("requests.jsonl", *(batch_request(f"c{n}", f"Say {n}", **parameters) for n in range(2)))
    outputs = [batch_output(f"c{n}", completion(str(n))) for n in range(2)]

    found = import_(write_jsonl("batch.jsonl", *outputs), "--with", "requests.jsonl", exit_code=1)

    request = imported_set("batch").settings.request
    assert (request.temperature, request.max_completion_tokens, request.response_format) == (0.0, 9, "json_object")
    assert request.extra_body == {"repetition_penalty": 1.1}
    assert list(found["not_carried"]) == ["parameter logit_bias: TOML has no null"]


def test_an_answer_that_was_cut_off_is_not_expected_of_another_model():
    write_jsonl("requests.jsonl", batch_request("a", "Tell me"), batch_request("b", "Briefly"))
    outputs = [batch_output("a", completion("Once upon", "length")), batch_output("b", completion("Yes"))]

    found = import_(write_jsonl("batch.jsonl", *outputs), "--with", "requests.jsonl", exit_code=1)

    assert "'length'" in found["left_out_records"][0]["reason"]


def test_stored_completions_with_calls_are_scored_as_calls():
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    stored = completion(None, "tool_calls", tool_calls=[call]) | {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "messages": [{"id": "m", "role": "user", "content": "Rain in Oslo?", "content_parts": None}],
        "tools": [tool],
        "temperature": 1.0,
        "metadata": {"team": "support"},
    }
    bare = completion("lost") | {"id": "chatcmpl-2"}

    found = import_(write_json("stored.json", {"object": "list", "data": [stored, bare]}), exit_code=1)

    eval_set = imported_set("stored")
    assert eval_set.settings.scorer == "tool_call"
    assert [(call.name, call.arguments) for call in eval_set.cases[0].tool_calls] == [("weather", '{"city": "Oslo"}')]
    assert eval_set.cases[0].metadata == {"team": "support"}
    assert "the prompt is not in the row" in found["left_out_records"][0]["reason"]
    assert found["runs"][0]["accuracy"] == 1.0


ROWS = {
    "deepeval": (
        {"input": "2 + 2?", "actual_output": "4", "expected_output": "4", "context": None, "name": "sums"},
        ("2 + 2?", "4", {"name": "sums"}),
    ),
    "inspect": (
        {"input": [{"role": "user", "content": "Symbol of gold?"}], "target": "Au", "id": 1, "metadata": {"k": "v"}},
        ("Symbol of gold?", "Au", {"k": "v"}),
    ),
    "lm-eval": (
        {
            "doc_id": 0,
            "doc": {"topic": "sums"},
            "target": "3",
            "arguments": {"gen_args_0": {"arg_0": "Q: 1 + 2?\nA:", "arg_1": {}}},
            "resps": [[" 3"]],
        },
        ("Q: 1 + 2?\nA:", "3", {"topic": "sums"}),
    ),
    "langfuse": (
        {"id": "x", "input": {"text": "hi"}, "expectedOutput": {"answer": "hello"}, "metadata": None},
        ("hi", "hello", {}),
    ),
    "langsmith": (
        {"id": "x", "inputs": {"messages": [{"role": "user", "content": "hi"}]}, "outputs": {"answer": "hello"}},
        ("hi", "hello", {}),
    ),
    "braintrust": (
        {"id": "x", "input": "hi", "expected": "hello", "output": "hey", "scores": {"s": 0}, "tags": ["greeting"]},
        ("hi", "hello", {}),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_other_tools_become_cases(name):
    row, (prompt, expected, metadata) = ROWS[name]

    found = import_(write_jsonl("rows.jsonl", row))

    (case,) = imported_set("rows").cases
    assert found["format"] == name
    assert (wire(case)[-1]["content"], case.expected, dict(case.metadata)) == (prompt, (expected,), metadata)


def test_a_prompt_of_several_fields_needs_a_template():
    row = {"inputs": {"question": "hi", "lang": "en"}, "outputs": {"answer": "hello"}}

    assert "name the prompt with --prompt" in import_(write_jsonl("rows.jsonl", row), exit_code=2)
    import_("rows.jsonl", "--prompt", "{{ item.inputs.lang }}: {{ item.inputs.question }}")

    assert wire(imported_set("rows").cases[0])[0]["content"] == "en: hi"


def test_choices_are_added_to_the_prompt_on_demand():
    rows = [
        {"input": "Largest?", "target": "B", "choices": ["Mars", "Jupiter"]},
        {"input": "Run it", "target": "A", "choices": ["a", "b"], "sandbox": "docker"},
    ]
    path = write_jsonl("quiz.jsonl", *rows)

    assert "--choices" in import_(path, exit_code=2)
    found = import_(path, "--choices", exit_code=1)

    assert wire(imported_set("quiz").cases[0])[0]["content"].startswith("Largest?\n\nA) Mars\nB) Jupiter\n")
    assert "'sandbox'" in found["left_out_records"][0]["reason"]


PROMPTFOO = """
prompts: ['Translate to {{lang}}: {{text}}']
defaultTest:
  vars: {lang: French}
tests:
  - vars: {text: Hello}
    assert: [{type: icontains, value: bonjour}, {type: javascript, value: 'output.length < 10'}]
  - vars: {text: Bye, lang: German}
    assert: [{type: icontains, value: 'tschüss'}]
  - vars: {text: Hi}
    assert: [{type: equals, value: salut}]
  - vars: {text: [a, b]}
    assert: [{type: icontains, value: x}]
"""


def test_a_configuration_of_promptfoo_becomes_cases_of_one_kind_of_assertion():
    Path("promptfoo.yaml").write_text(PROMPTFOO, encoding="utf-8")

    found = import_("promptfoo.yaml", exit_code=1)

    eval_set = imported_set("promptfoo")
    assert [(wire(case)[0]["content"], *case.expected) for case in eval_set.cases] == [
        ("Translate to French: Hello", "bonjour"),
        ("Translate to German: Bye", "tschüss"),
    ]
    assert (eval_set.settings.scorer, eval_set.settings.normalize) == ("contains", ["casefold"])
    assert list(found["not_carried"]) == ["assertion 'javascript': no equal scorer"]
    reasons = [each["reason"] for each in found["left_out_records"]]
    assert reasons[0].startswith("test 3: it asserts 'equals'")
    assert "'text' is a list" in reasons[1]


def test_assertions_of_a_json_schema_become_the_schema_of_the_set():
    config = {
        "prompts": ["Describe {{thing}} as JSON"],
        "tests": [
            {"vars": {"thing": "a cup"}, "assert": [{"type": "is-json", "value": {"required": ["name"]}}]},
            {"vars": {"thing": "a box"}, "assert": [{"type": "is-json", "value": '{"required": ["name"]}'}]},
            {"vars": {"thing": "a jar"}, "assert": [{"type": "is-json", "value": {"required": ["size"]}}]},
        ],
    }

    found = import_(write_json("promptfoo.json", config), exit_code=1)

    eval_set = imported_set("promptfoo")
    assert eval_set.settings.scorer == "schema"
    assert json.loads(Path("eval_sets", "promptfoo.schema.json").read_text("utf-8")) == {"required": ["name"]}
    assert len(eval_set.cases) == 2
    assert "differs" in found["left_out_records"][0]["reason"]


def inspect_sample(name, epoch, target, answer, value, **more):
    message = {"role": "assistant", "content": [{"type": "text", "text": answer}], "source": "generate"}
    prompt = {"id": "m1", "role": "user", "content": "Answer briefly: 2 + 2?", "source": "input"}
    return {
        "id": name,
        "epoch": epoch,
        "input": "2 + 2?",
        "target": target,
        "messages": [prompt, message],
        "output": {
            "model": "openai/gpt-4o",
            "choices": [{"message": message, "stop_reason": "stop"}],
            "usage": {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10},
        },
        "scores": {"match": {"value": value, "answer": answer}},
        "metadata": {"kind": "sum"},
    } | more


SAMPLES = [
    inspect_sample("a", 1, "4", "4", "C"),
    inspect_sample("a", 2, "4", "five", "I"),
    inspect_sample("b", 1, ["4", "four"], "four", "C"),
    inspect_sample("b", 2, ["4", "four"], "", "I", error={"message": "time-out"}),
]


def log_as_archive(compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile("sums.eval", "w", compression) as archive:
        archive.writestr("header.json", json.dumps({"eval": {"model": "openai/gpt-4o", "task": "sums"}}))
        for sample in SAMPLES:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
    return "sums.eval"


def log_as_inspect_writes_it():
    """Compressed with zstandard, which is method 93 of ZIP."""
    if sys.version_info < (3, 14):
        pytest.importorskip("zipfile_zstd")
    return log_as_archive(93)


def log_as_json():
    return write_json("sums.json", {"eval": {"model": "openai/gpt-4o"}, "status": "success", "samples": SAMPLES})


@pytest.mark.parametrize("write", [log_as_archive, log_as_inspect_writes_it, log_as_json])
def test_a_log_of_inspect_has_the_prompts_that_were_sent_and_its_epochs_as_repeats(write):
    found = import_(write())

    eval_set = imported_set("sums")
    assert [(case.id, *case.expected) for case in eval_set.cases] == [("a", "4"), ("b", "4", "four")]
    assert wire(eval_set.cases[0]) == [{"role": "user", "content": "Answer briefly: 2 + 2?"}]
    assert (eval_set.repeats, eval_set.settings.max_errors) == (2, 1)
    (run,) = found["runs"]
    assert states(run) == {("a", 0): "passed", ("a", 1): "missed", ("b", 0): "passed", ("b", 1): "error"}
    assert run["model"] == "openai/gpt-4o"
    assert (run["graders_agree"], run["graders_disagree"]) == (4, [])


def test_a_log_in_which_the_model_was_asked_several_times_is_not_one_request():
    turns = [{"role": "user", "content": "Think"}, {"role": "assistant", "content": "Hm"}] * 2
    sample = inspect_sample("a", 1, "4", "4", "C", messages=turns)

    output = import_(write_json("log.json", {"eval": {}, "samples": [sample]}), exit_code=2)

    assert "asked several times" in output


@pytest.mark.parametrize("sent", ["2 + 2?", [{"role": "user", "content": "2 + 2?"}]])
def test_a_log_without_messages_has_its_prompt_in_the_input(sent):
    sample = inspect_sample("a", 1, "4", "4", "C", input=sent, messages=None)

    import_(write_json("log.json", {"eval": {}, "samples": [sample]}))

    assert wire(imported_set("log").cases[0]) == [{"role": "user", "content": "2 + 2?"}]


def test_options_name_the_prompt_and_the_answer_of_a_log():
    sample = inspect_sample("a", 1, "", "4", "C", metadata={"question": "2 + 2?", "result": "4"})
    log = write_json("log.json", {"eval": {}, "samples": [sample]})

    import_(log, "--prompt", "{{ item.metadata.question }}", "--expected", "{{ item.metadata.result }}")

    (case,) = imported_set("log").cases
    assert (wire(case)[0]["content"], case.expected) == ("2 + 2?", ("4",))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"target": ""}, "nothing is expected: name the answer with --expected"),
        ({"messages": [{"role": "assistant", "content": "4"}]}, "the prompt is not in the log: name it with --prompt"),
    ],
)
def test_a_sample_of_a_log_without_prompt_or_target_is_left_out_with_the_option_to_use(changes, reason):
    samples = [inspect_sample("a", 1, "4", "4", "C"), inspect_sample("b", 1, "4", "4", "C") | changes]

    found = import_(write_json("log.json", {"eval": {}, "samples": samples}), exit_code=1)

    assert [each["reason"] for each in found["left_out_records"]] == [reason]


def test_the_answer_of_a_log_can_be_expected_with_its_calls():
    call = {"id": "1", "type": "function", "function": "add", "arguments": {"a": 2, "b": 2}}
    sample = inspect_sample("a", 1, "4", "", "C")
    sample["output"]["choices"][0]["message"] |= {"content": "", "tool_calls": [call]}

    import_(write_json("log.json", {"eval": {}, "samples": [sample]}), "--expected", "recorded")

    (case,) = imported_set("log").cases
    assert [(each.name, each.arguments) for each in case.tool_calls] == [("add", '{"a":2,"b":2}')]


def test_an_entry_of_an_archive_that_is_no_sample_is_left_out_and_one_without_end_refused(monkeypatch):
    with zipfile.ZipFile(log_as_archive(), "a") as archive:
        archive.writestr("samples/c_epoch_1.json", "[]")

    found = import_("sums.eval", exit_code=1)

    assert "samples/c_epoch_1.json holds no sample" in json.dumps(found["left_out_records"])
    monkeypatch.setattr("pytest_finetune.lifecycle.importing.inspect_logs._MOST_BYTES", 100)
    assert "larger than 64 MiB" in import_("sums.eval", "--force", exit_code=2)


def test_output_items_of_a_dump_are_read_from_a_file_whatever_is_in_them(folder):
    """An item within an item, and items before the eval that they belong to, are read like others."""
    inner = {"datasource_item": {"q": "within"}, "sample": None}
    items = [
        {"datasource_item": {"q": f"ask {n}", "a": f"say {n}"}, "sample": {"output": [{"content": f"say {n}"}]}}
        for n in range(3)
    ]
    dump = {"output_items": items, "run": {"id": "r1"}, "eval": {"testing_criteria": []}}
    for name, nested in (
        ("plain", items),
        ("nested", [*items, {"datasource_item": {"q": "x", "a": "y", "in": inner}}]),
    ):
        write_json(f"{name}.json", dump | {"output_items": nested})
        import_(f"{name}.json", "--prompt", "{{ item.q }}", "--expected", "{{ item.a }}", "--no-runs")
        lines = [json.loads(line) for line in Path("eval_sets", f"{name}.jsonl").read_text().splitlines()]
        assert [line["expected"] for line in lines] == [["say 0"], ["say 1"], ["say 2"], ["y"]][: len(nested)]
    assert lines[-1]["metadata"]["in"]["datasource_item"] == {"q": "within"}
