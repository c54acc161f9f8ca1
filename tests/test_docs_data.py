"""The outputs in docs/data.md are those of prepare, split, price and profile, and its figures are those of the code."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.cli.data import command as data_group
from pytest_finetune.evaluation.fine_tune_prices import AS_OF, PRICES, SOURCE
from pytest_finetune.lifecycle.data.languages import CERTAIN
from pytest_finetune.lifecycle.data.price import EPOCHS_SOURCE, usual_epochs
from pytest_finetune.lifecycle.data.raw_rows import FORMATS, MAX_LISTED
from pytest_finetune.lifecycle.data.tokens import FRAME
from pytest_finetune.lifecycle.data.tokens import SOURCE as TOKENS_SOURCE
from pytest_finetune.verdicts.shapes import NAMES

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text("utf-8")
CHAPTERS = {
    name.lower(): text for name, text in re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
MINE = ("prepare", "split", "price", "profile")


def options_of(name):
    command = import_module(f"pytest_finetune.cli.data.{name}").command
    return {word for option in command.params if isinstance(option, click.Option) for word in option.opts}


def block(kind, number=0):
    return re.findall(rf"^```{kind}\n(.*?)^```$", CHAPTERS["prepare"], re.MULTILINE | re.DOTALL)[number]


def test_every_command_has_its_chapter():
    assert set(data_group.subcommands) <= set(CHAPTERS)
    for name in data_group.subcommands:
        assert f"[`data {name}`](#{name})" in TEXT


@pytest.mark.parametrize("name", MINE)
def test_all_and_only_existing_options_are_documented(name):
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", CHAPTERS[name]))
    long = {word for word in options_of(name) if word.startswith("--")}
    assert documented - long == set()
    # Common to all of them, or explained well enough by --help.
    assert long - documented <= {"--json", "--shape", "--force", "--output", "--label-by", "--model"}


@pytest.mark.parametrize("name", MINE)
def test_each_shown_command_accepts_its_options(name):
    shown = re.findall(rf"^\$ pytest-finetune data {name} (.*)$", CHAPTERS[name], re.MULTILINE)
    assert shown
    for line in shown:
        assert {word for word in shlex.split(line) if word.startswith("-")} <= options_of(name)


def test_all_and_only_known_shapes_are_documented():
    table = TEXT.partition("| `--shape` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(NAMES)
    for row, shape in zip(table.splitlines()[2:], NAMES.values(), strict=True):
        needed = {each if isinstance(each, str) else each[0] for each in shape.needs}
        assert needed <= set(re.findall(r"`([\w-]+)`", row)), row


def test_the_example_of_prepare_does_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("raw.csv").write_text(block("csv"), "utf-8")
    call, _, printed = block("console").partition("\n")
    done = CliRunner().invoke(main, shlex.split(call.removeprefix("$ pytest-finetune ")))
    assert done.output == printed
    assert Path("train.jsonl").read_text("utf-8") == block("json")


def test_the_table_of_prices_is_the_code_s():
    rows = re.findall(r"^\| ([\w.-]+-\d{4}[\w-]*) \| (.+?) \| (.+?) \| (.+?) \|$", CHAPTERS["price"], re.MULTILINE)
    assert {model: cells for model, *cells in rows} == {
        model: [
            "by the hour" if prices.training is None else str(prices.training),
            str(prices.standard.prompt),
            str(prices.standard.completion),
        ]
        for model, prices in PRICES.items()
    }
    assert f"[OpenAI's list]({SOURCE}) as of {AS_OF}" in CHAPTERS["price"]


def test_figures_and_sources_are_the_code_s():
    assert TOKENS_SOURCE in TEXT
    assert EPOCHS_SOURCE in TEXT
    assert FRAME == 3
    assert [usual_epochs(examples) for examples in (25, 26, 8333, 8334)] == [4, 3, 3, 2]
    assert "more for fewer than 26 examples and less\n  for more than 8,333" in CHAPTERS["price"]
    assert f"{MAX_LISTED:,}" in CHAPTERS["prepare"]
    assert f"{CERTAIN:.0%}".replace("%", " %") in CHAPTERS["profile"]
    for ending in FORMATS:
        assert f"`{ending}`" in CHAPTERS["prepare"] or ending == ".tab"
