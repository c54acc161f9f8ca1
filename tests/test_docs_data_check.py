"""The codes, options and example in the chapter on `data check` are those of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from pytest_finetune.cli.data.check import command
from pytest_finetune.lifecycle.data.codes import CODES
from pytest_finetune.lifecycle.data.finding import Finding, Severity
from pytest_finetune.lifecycle.data.limits import DEFAULT_LIMIT, SOURCE, example_limit
from pytest_finetune.lifecycle.data.personal import REGIONS
from pytest_finetune.plugin.options import add_options

ROOT = Path(__file__).parents[1]
DATA = (ROOT / "docs/data.md").read_text("utf-8")
CHAPTER = re.search(r"^## Check$.*?(?=^## |\Z)", DATA, re.MULTILINE | re.DOTALL)[0]
OPTIONS = {
    name for option in command.params if isinstance(option, click.Option) and not option.hidden for name in option.opts
}


def test_the_tables_hold_every_code_with_its_group_severity_and_meaning():
    documented, group = [], ""
    for first, second, third in re.findall(r"^\| (.*?) \| (.*?) ?\| (.*?) ?\|$", CHAPTER, re.MULTILINE):
        if not second and first in {code.group for code in CODES.values()}:
            group = first
        elif (name := first.strip("`")) in CODES or second in {severity.word for severity in Severity}:
            documented.append((name, group, second, third))
    assert documented == [(code.name, code.group, code.severity.word, code.meaning) for code in CODES.values()]


def test_all_and_only_existing_options_are_documented():
    documented = set(re.findall(r"(?<![\w-])--(?!finetune-|model=)[a-z][a-z-]*", CHAPTER))
    assert documented - OPTIONS == set()
    assert {option for option in OPTIONS if option.startswith("--")} - documented <= {"--verbose"}


@pytest.mark.parametrize("line", re.findall(r"^    pytest-finetune data check (.+)$", CHAPTER, re.MULTILINE))
def test_each_shown_command_accepts_its_options(line):
    assert {word for word in shlex.split(line) if word.startswith("--")} <= OPTIONS


def test_every_plugin_option_of_the_data_check_is_documented():
    parser = pytest.Parser(_ispytest=True)
    add_options(parser)
    options = {name for group in parser._groups for option in group.options for name in option.names()}
    check_options = {name for name in options if name.startswith("--finetune-check")}
    settings = {name for name in parser._inidict if re.match("finetune_(check|train|validation)", name)}
    assert check_options
    assert settings
    assert [name for name in sorted(check_options | settings) if name not in CHAPTER] == []


def test_the_example_is_a_finding_as_json_prints_it():
    (example,) = re.findall(r"^```json\n(.*?)^```", CHAPTER, re.MULTILINE | re.DOTALL)
    documented = json.loads(example)
    assert Finding(**documented | {"severity": Severity.ERROR}).to_dict() == documented


def test_figures_and_sources_are_the_code_s():
    assert f"{DEFAULT_LIMIT:,}" in CHAPTER
    assert f"{example_limit('gpt-3.5-turbo'):,} for gpt-3.5-turbo" in CHAPTER
    assert SOURCE in CHAPTER
    assert f"({' and '.join(REGIONS)})" in CHAPTER


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("gpt-4.1-mini-2025-04-14", 65_536),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", 65_536),
        ("gpt-3.5-turbo-0613", 4_096),
        ("gpt-4.10", None),
        ("llama-3", None),
    ],
)
def test_the_limit_of_a_model_is_that_of_its_family_or_unknown(model, limit):
    assert example_limit(model) == limit
