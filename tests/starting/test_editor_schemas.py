"""The schemas with which editors complete and check the files of an eval set."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator

from pytest_finetune.cli import main
from pytest_finetune.lifecycle.starting.editor_schemas import line_schema, settings_schema
from pytest_finetune.lifecycle.starting.kinds import ANSWER_KINDS
from pytest_finetune.verdicts.evalset.gate_metrics import METRICS
from pytest_finetune.verdicts.evalset.scorer_names import built_in_scorers
from pytest_finetune.verdicts.scoring import scorer_class

ROOT = Path(__file__).parents[2]
SETTINGS = Draft7Validator(settings_schema(installed=()))
LINE = Draft7Validator(line_schema())


@pytest.mark.parametrize("schema", [SETTINGS.schema, LINE.schema])
def test_the_schemas_are_schemas_of_draft_7(schema: Any) -> None:
    Draft7Validator.check_schema(schema)
    assert "null" not in json.dumps(SETTINGS.schema)


@pytest.mark.parametrize("page", ["README.md", "docs/eval-sets.md", "docs/judge.md", "docs/verdicts.md"])
def test_the_settings_in_the_documents_are_accepted(page: str) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    settings = [tomllib.loads(block) for block in blocks if "[project" not in block]
    assert settings
    assert [list(SETTINGS.iter_errors(each)) for each in settings] == [[]] * len(settings)


@pytest.mark.parametrize("kind", ANSWER_KINDS)
def test_init_names_the_schema_and_its_files_satisfy_both(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        result = CliRunner().invoke(main, ["init", name, f"--kind={kind}"])
        assert result.exit_code == 0, result.output
    text = Path("eval_sets/first.toml").read_text("utf-8")
    named = text.splitlines()[0].removeprefix("#:schema ")
    assert Draft7Validator(json.loads(Path("eval_sets", named).read_text("utf-8"))).is_valid(tomllib.loads(text))
    schema = json.loads(Path("eval_sets/.schemas/case.json").read_text("utf-8"))
    for line in Path("eval_sets/first.jsonl").read_text("utf-8").splitlines():
        assert Draft7Validator(schema).is_valid(json.loads(line))


def test_init_writes_nothing_if_the_schemas_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("eval_sets").mkdir()
    Path("eval_sets/.schemas").write_text("mine")
    result = CliRunner().invoke(main, ["init", "first", "--kind=label"])
    assert result.exit_code == 2
    assert ".schemas" in result.output
    assert [path.name for path in Path("eval_sets").iterdir()] == [".schemas"]


@pytest.mark.parametrize(
    "settings",
    [
        {"scorre": "label"},
        {"scorer": "lable"},
        {"scorer": {"type": "number", "absolut": 0.1}},
        {"scorer": {"type": "exact", "labels": ["a"]}},
        {"request": {"temperature": "hot"}},
        {"request": {"max_tokens": 0}},
        {"gates": [{"metric": "acuracy", "min": 0.9}]},
        {"gates": [{"metric": "accuracy"}]},
        {"gates": [{"metric": "accuracy", "min": 0.9, "confidence": 95}]},
        {"gates": [{"max_drop": 0.1}]},
        {"gates": [{"min": 0.9, "minn": 0.9}]},
        {"normalize": ["lowercase"]},
        {"scorers": [{"name": "form"}]},
        {"scorers": [{"type": "schema", "decide": True}]},
    ],
)
def test_a_misspelt_or_impossible_setting_is_marked(settings: Any) -> None:
    assert not SETTINGS.is_valid(settings)


@pytest.mark.parametrize("name", built_in_scorers())
def test_every_scorer_is_completed_with_its_own_settings(name: str) -> None:
    tables = SETTINGS.schema["properties"]["scorer"]["anyOf"]
    (table,) = [each for each in tables if each.get("properties", {}).get("type") == {"const": name}]
    scorer = scorer_class(name)
    options = set(scorer.options.model_fields) if scorer.options else set()
    assert set(table["properties"]) == {"type"} | scorer.settings | options
    assert SETTINGS.is_valid({"scorer": name})


def test_functions_and_installed_scorers_are_accepted() -> None:
    assert SETTINGS.is_valid({"scorer": "judges:polite"})
    assert SETTINGS.is_valid({"scorer": {"type": "judges:polite", "anything": 1}})
    assert not SETTINGS.is_valid({"scorer": "mood"})
    assert Draft7Validator(settings_schema(installed=["mood"])).is_valid({"scorer": {"type": "mood", "anything": 1}})


def test_every_metric_is_completed() -> None:
    gates = SETTINGS.schema["definitions"].values()
    assert {tuple(each["properties"]["metric"]["enum"]) for each in gates if "metric" in each["properties"]} == {
        METRICS
    }


@pytest.mark.parametrize(
    ("line", "valid"),
    [
        ({"input": "a", "expected": "b"}, True),
        ({"input": "a"}, True),
        ({"input": [{"role": "user", "content": "a"}], "ideal": ["b"], "id": 7, "tags": ["x"]}, True),
        ({"messages": [{"role": "user", "content": "a"}], "tools": []}, True),
        ({"input": "a", "expected": "b", "tag": "x"}, False),
        ({"input": "a", "expected": "b", "ideal": "b"}, False),
        ({"expected": "b"}, False),
        ({"messages": []}, False),
        ({"input": 3, "expected": "b"}, False),
        ({"messages": [{"role": "robot", "content": "a"}]}, False),
    ],
)
def test_a_line_is_checked(line: Any, valid: Any) -> None:
    assert LINE.is_valid(line) == valid
