"""`data check` over several files: comparisons with eval sets and production, limits, and masked secrets."""

from __future__ import annotations

import json

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from planted_faults import (
    ITEM,
    KEY,
    SYSTEM,
    TOOL,
    Plant,
    ask,
    call,
    case,
    clean_rows,
    labelled,
    lines,
    nearly,
    replaced,
    row,
    sentence,
    tool_row,
)

from pytest_finetune.base.errors import DataError
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.codes import CODES, codes_wanted
from pytest_finetune.lifecycle.data.finding import Severity
from pytest_finetune.lifecycle.data.production import read_production


@pytest.fixture
def checked(tmp_path):
    def run(rows=None, **how):
        return check(**Plant("", training=clean_rows() if rows is None else rows, **how).write(tmp_path))

    return run


def problems(result, code):
    return [finding.problem for finding in result.findings if finding.code == code]


def test_findings_mask_secrets(checked):
    secrets = [
        KEY,
        "bob.smith@gmail.com",
        "+44 20 7925 0918",
        "5425 2334 3010 9903",
        "110105198803124525",
        "DE02120300000000202051",
    ]
    rows = replaced({number: ask(secret) for number, secret in enumerate(secrets, 10)})
    rows[50] = row(sentence(901), KEY, **{KEY: 1})
    rows[51]["messages"][0]["role"] = KEY
    result = checked(rows, options=CheckOptions(labels=("bug", "feature", "question", "other")))
    shown = json.dumps([finding.to_dict() for finding in result.findings])
    assert {"api_key", "email_address", "phone_number", "payment_card", "resident_id", "bank_account"} <= set(
        result.by_code
    )
    assert {"unknown_label", "unrecognized_role"} <= set(result.by_code)
    assert [secret for secret in secrets if secret in shown] == []


def test_counts_are_exact_when_not_all_findings_are_kept(checked):
    rows = [row(sentence(number), "other ") for number in range(300)]
    result = checked(rows, options=CheckOptions(examples=5))
    assert result.counts["train.jsonl", "surrounding_whitespace"] == 300
    assert [f.line for f in result.findings if f.code == "surrounding_whitespace"] == [1, 2, 3, 4, 5]


def test_only_selected_codes_are_reported(checked):
    rows = replaced({40: row(sentence(901), "other "), 41: {"messages": []}})
    assert set(checked(rows, options=CheckOptions(codes=codes_wanted(["meaning"]))).by_code) == set()
    ignoring = CheckOptions(codes=codes_wanted(ignore=["missing_messages_list"]))
    assert set(checked(rows, options=ignoring).by_code) == {"surrounding_whitespace"}


def test_a_misspelt_code_is_an_error_with_a_suggestion():
    with pytest.raises(DataError, match="did you mean 'duplicate'"):
        codes_wanted(["duplicat"])


def test_findings_are_ordered_by_file_and_line(checked):
    rows = replaced({60: row(sentence(901), "other "), 20: {"messages": []}})
    result = checked(rows, validation=[row(sentence(2000), "bug ")])
    assert [finding.place for finding in result.findings] == ["train.jsonl:20", "train.jsonl:60", "validation.jsonl:1"]


def test_findings_are_counted_by_severity(checked):
    result = checked(replaced({40: row(sentence(901), "other ")}))
    assert result.worst is Severity.WARNING
    assert result.by_severity == {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 0}


def test_the_same_question_with_another_system_prompt_is_not_a_duplicate(checked):
    prompt = clean_rows()[9]["messages"][1]["content"]
    rows = [*clean_rows(), *(row(sentence(500 + n), "other", system="Extract.") for n in range(3))]
    rows.append(row(prompt, "other", system="Extract."))
    assert checked(rows).by_code == {}


def test_answered_tool_calls_have_no_findings(checked):
    answer = {"role": "tool", "tool_call_id": "c1", "content": "shipped"}
    last = tool_row(call(), then=(answer, {"role": "assistant", "content": "other"}))
    assert checked(replaced({40: last})).by_code == {}
    assert checked(replaced({40: tool_row(call())})).by_code == {}


def test_parallel_calls_may_be_answered_in_any_order(checked):
    answers = tuple({"role": "tool", "tool_call_id": name, "content": "x"} for name in ("c2", "c1"))
    planted = tool_row(call(), call(id="c2"), then=(*answers, {"role": "assistant", "content": "other"}))
    assert checked(replaced({40: planted})).by_code == {}


@pytest.mark.parametrize(
    "weird", [7, "text", None, [], [None], [[]], {"role": "user"}, [{"role": []}], [{"content": {}}]]
)
def test_malformed_messages_are_findings(checked, weird):
    result = checked(replaced({40: {"messages": weird, "tools": weird}}))
    assert result.worst is Severity.ERROR
    assert {finding.line for finding in result.findings} == {40}


@pytest.mark.parametrize(
    "calls", [7, [7], [{}], [{"function": {}}], [{"id": [], "function": {"name": "f", "arguments": "{}"}}]]
)
def test_malformed_tool_calls_are_findings(checked, calls):
    planted = tool_row()
    planted["messages"][2]["tool_calls"] = calls
    assert "invalid_tool_calls" in checked(replaced({40: planted})).by_code


def test_training_answers_are_validated_with_the_schema_of_the_eval_set(tmp_path):
    (tmp_path / "item.json").write_text('{"type": "object", "required": ["item"]}')
    rows = [row(sentence(number), '{"item": null}') for number in range(120)]
    rows[3], rows[7], rows[39] = row("?", "{}"), row(sentence(7, 60), '{"item": 1}'), row(sentence(901), '{"itm": 1}')
    plant = Plant(
        "", training=rows, evals=[case(expected='{"item": 1}')], toml='scorer = "json"\nschema = "item.json"\n'
    )
    result = check(**plant.write(tmp_path))
    assert [(f.code, f.line) for f in result.findings] == [("answer_breaks_schema", 4), ("answer_breaks_schema", 40)]


def test_training_answers_are_compared_with_the_response_format_of_the_eval_set(tmp_path):
    (tmp_path / "item.json").write_text('{"type": "object", "required": ["item"]}')
    rows = [row(sentence(number), '{"itm": null}') for number in range(120)]
    plant = Plant(
        "", training=rows, evals=[case(expected='{"item": 1}')], toml='[request]\nresponse_schema = "item.json"\n'
    )
    (problem,) = problems(check(**plant.write(tmp_path)), "response_format_differs")
    assert "json_schema" in problem
    assert "120 of 120" in problem
    assert "train.jsonl:1" in problem


def test_leakage_names_both_locations(checked):
    prompt = clean_rows()[9]["messages"][1]["content"]
    result = checked(evals=[case(prompt), case(nearly(prompt)) | {"id": "two"}])
    assert [(f.code, f.line, f.other) for f in result.findings if "eval_in" in f.code] == [
        ("eval_in_training", 1, "train.jsonl:10"),
        ("near_eval_in_training", 2, "train.jsonl:10"),
    ]


def test_a_file_given_as_validation_and_as_eval_set_is_one_finding(tmp_path):
    rows = [row(sentence(2000 + number), "bug", id=f"case-{number}") for number in range(5)]
    paths = Plant("", validation=rows).write(tmp_path)
    result = check(**paths, evals=paths["validation"])
    assert result.counts["validation.jsonl", "eval_in_validation"] == 1


def test_errors_in_an_eval_set_are_findings_at_their_lines(checked):
    result = checked(evals=[case()], toml='scorer = "lable"\n')
    assert [(f.code, f.file, f.line) for f in result.findings] == [("eval_set", "evals.toml", 1)]


def test_files_are_compared_with_a_production_request(tmp_path, checked):
    kept = tmp_path / "request.json"
    kept.write_text(json.dumps({"model": "m", "messages": row("x", "y")["messages"][:2], "tools": [TOOL]}))
    production = read_production(kept)
    assert production.system == SYSTEM
    (problem,) = problems(checked(options=CheckOptions(production=production)), "production_differs")
    assert "tools" in problem


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"messages": ["hello"]}'])
def test_an_invalid_production_request_is_an_error(tmp_path, text):
    kept = tmp_path / "request.json"
    kept.write_text(text)
    with pytest.raises(DataError):
        read_production(kept)


def test_labels_are_normalized_as_in_the_eval_set(checked):
    rows = labelled({"BUG": 60, "other": 60})
    toml = 'scorer = "label"\nnormalize = ["strip", "casefold"]\nlabels = ["bug", "other"]\n'
    assert checked(rows, evals=[case()], toml=toml).by_code == {}


def test_free_text_is_not_taken_for_labels(checked):
    rows = [row(sentence(number), sentence(3000 + number, 4)) for number in range(120)]
    assert set(checked(rows).by_code) <= {code for code in CODES if code.startswith("no_")}


def test_answer_formats_are_compared_per_system_prompt(checked):
    labels = [row(sentence(number), "other", system="Classify.") for number in range(60)]
    items = [row(sentence(100 + number), '{"item": null}', system="Extract.") for number in range(60)]
    assert "invalid_json_answer" not in checked([*labels, *items]).by_code


def test_a_schema_may_require_another_type_than_object(checked):
    rows = [row(sentence(number), "7") for number in range(120)]
    result = checked(rows, options=CheckOptions(schema=ITEM))
    assert result.counts["train.jsonl", "answer_breaks_schema"] == 120


def test_without_a_training_file_nothing_is_reported_about_training(tmp_path):
    (tmp_path / "validation.jsonl").write_bytes(lines([row(sentence(1), "bug")]))
    assert check([], validation=[tmp_path / "validation.jsonl"], root=tmp_path).by_code == {}


def test_an_unknown_region_is_an_error(checked):
    with pytest.raises(DataError, match="unknown region 'XX'"):
        checked(options=CheckOptions(regions=("xx",)))


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-15 08:30 and 2023/10/11 12:13:14",
        "order 2125550123 and 00123456789012345",
        "it costs 1,000,000.00 or 3.14159265358979",
        "from 10.0.0.1 to 192.168.100.200",
        "ISBN 978-3-16-148410-0",
        "1 2 3 4 5 6 7 8 9 10",
        "card 4111 1111 1111 1112, id 110105194912310021",
        "write to name@example.com or a@b",
        "你好，世界 – „Größe“ café naïve",
        "see https://example.com/A-Very-Long_path/with-16-more.html?x=1",
    ],
)
def test_text_that_only_resembles_personal_data_is_not_reported(checked, text):
    assert checked(replaced({40: ask(text)})).by_code == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ODD = {
    "role": st.sampled_from(["system", "user", "assistant", "tool", "function"]) | JSON,
    "content": st.text(max_size=20) | st.lists(st.fixed_dictionaries({"type": JSON}, optional={"text": JSON})) | JSON,
    "weight": JSON,
    "tool_call_id": JSON,
    "tool_calls": st.lists(st.fixed_dictionaries({"id": JSON, "type": JSON, "function": JSON}), max_size=2) | JSON,
}
ROWS = st.fixed_dictionaries(
    {"messages": st.lists(st.fixed_dictionaries({}, optional=ODD), max_size=4) | JSON},
    optional={"tools": JSON, "functions": JSON},
)


@examples(150)
@given(rows=st.lists(ROWS, max_size=3))
def test_any_json_row_is_checked_without_an_exception(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "odd.jsonl"
    path.write_bytes(lines(rows))
    result = check([path], root=path.parent)
    assert result.worst is Severity.ERROR
    assert all(finding.problem.isprintable() for finding in result.findings)
