"""Planted faults of every code are found at their place and cause no other finding; clean data has no findings."""

from __future__ import annotations

import pytest
from planted_faults import Plant, case, labelled, row, sentence
from plants import LABELLED, PLANTS

from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.codes import CODES


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
    assert {plant.code for plant in PLANTS} == set(CODES)


@pytest.mark.parametrize("plant", PLANTS, ids=[f"{plant.code}-{number}" for number, plant in enumerate(PLANTS)])
def test_a_planted_fault_is_the_only_finding(plant, tmp_path):
    result = check(**plant.write(tmp_path))
    assert set(result.by_code) == {plant.code}
    (finding,) = [finding for finding in result.findings if finding.code == plant.code]
    assert (finding.file, finding.line, finding.path) == (plant.file, plant.line, plant.path)
    assert finding.severity is CODES[plant.code].severity
    assert finding.problem
    assert finding.hint
