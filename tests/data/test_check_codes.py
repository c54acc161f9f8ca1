"""Planted faults of every code are found at their place and cause no other finding; clean data has no findings."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from more_plants import MORE_PLANTS
from planted_faults import Plant, case, labelled, row, sentence
from plants import LABELLED, PLANTS

from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.verdicts.json_schema.formats import formats

ALL = [*PLANTS, *MORE_PLANTS]


def test_clean_data_has_no_findings(tmp_path):
    clean = Plant("", validation=[row(sentence(2000), "bug")], evals=[case()], toml=LABELLED)
    result = check(**clean.write(tmp_path))
    assert result.findings == ()
    assert (result.worst, result.counts) == (None, {})
    assert result.rows == {"train.jsonl": 120, "validation.jsonl": 1, "evals.jsonl": 1}


def test_a_label_that_looks_like_an_empty_cell_is_no_fault_if_it_is_listed(tmp_path):
    rows = labelled({"bug": 60, "None": 60})
    assert check(**Plant("", training=rows).write(tmp_path)).by_code["empty_cell"] == 60
    named = Plant("", training=rows, options=CheckOptions(labels=("bug", "None")))
    assert "empty_cell" not in check(**named.write(tmp_path)).by_code


def test_every_code_has_a_planted_fault():
    """`format_not_checked` depends on what is installed; its test is below."""
    assert {plant.code for plant in PLANTS} == set(CODES) - {"format_not_checked"}


@pytest.fixture
def no_uri_library(monkeypatch):
    """An installation without the library of the format `uri`."""
    formats.cache_clear()
    monkeypatch.delitem(Draft202012Validator.FORMAT_CHECKER.checkers, "uri", raising=False)
    yield
    formats.cache_clear()


def linked_tools(answer, **link):
    tool = {"type": "object", "properties": {"link": {"type": "string", **link}}, "required": ["link"]}
    tools = [{"type": "function", "function": {"name": "open_page", "parameters": tool}}]
    calls = [{"id": "c1", "type": "function", "function": {"name": "open_page", "arguments": answer}}]
    messages = [{"role": "user", "content": sentence(901)}, {"role": "assistant", "tool_calls": calls}]
    return {"messages": messages, "tools": tools}


def test_a_format_without_its_library_is_named_once_and_the_rest_is_checked(tmp_path, no_uri_library):
    good, bad = (linked_tools(answer, format="uri") for answer in ('{"link": "https://a.example"}', '{"link": 7}'))
    result = check(**Plant("", training=[*labelled({"bug": 60, "other": 60}), good, good, bad]).write(tmp_path))
    (finding,) = [each for each in result.findings if each.code == "format_not_checked"]
    assert (finding.severity.word, finding.line) == ("info", 121)
    assert finding.problem == "the format 'uri' of tool arguments is not checked, its library is not installed"
    assert finding.hint == "pip install 'pytest-finetune[formats]'"
    assert [each.line for each in result.findings if each.code == "tool_arguments"] == [123]
    assert "invalid_tools" not in result.by_code


def test_a_format_with_its_library_is_checked(tmp_path):
    row = linked_tools('{"link": "not a link"}', format="uri")
    result = check(**Plant("", training=[*labelled({"bug": 60, "other": 60}), row]).write(tmp_path))
    assert set(result.by_code) & {"format_not_checked", "invalid_tools", "tool_arguments"} == {"tool_arguments"}


def test_a_misspelt_format_is_an_error_also_without_libraries(tmp_path, no_uri_library):
    row = linked_tools('{"link": "x"}', format="date-tim")
    result = check(**Plant("", training=[*labelled({"bug": 60, "other": 60}), row]).write(tmp_path))
    assert result.by_code["invalid_tools"] == 1


@pytest.mark.parametrize("plant", ALL, ids=[f"{plant.code}-{number}" for number, plant in enumerate(ALL)])
def test_a_planted_fault_is_the_only_finding(plant, tmp_path):
    result = check(**plant.write(tmp_path))
    assert set(result.by_code) == {plant.code}
    (finding,) = [finding for finding in result.findings if finding.code == plant.code]
    assert (finding.file, finding.line, finding.path) == (plant.file, plant.line, plant.path)
    assert finding.severity is CODES[plant.code].severity
    assert finding.problem
    assert finding.hint


def test_arguments_are_not_compared_with_parameters_that_are_no_object(tmp_path):
    row = linked_tools('{"link": "x"}')
    row["tools"][0]["function"]["parameters"] = {"type": "string"}
    result = check(**Plant("", training=[*labelled({"bug": 60, "other": 60}), row]).write(tmp_path))
    assert set(result.by_code) == {"invalid_tools"}
