"""The documents of the registry keep pace: every command and option is there, and the ends of models are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from pytest_finetune.cli.registry import command
from pytest_finetune.registry.sunset import ANNOUNCED, LAST_FINE_TUNING_DAY, SOURCE

DOCS = Path(__file__).parents[1] / "docs"
TEXTS = {name: (DOCS / f"{name}.md").read_text("utf-8") for name in ("registry", "ci")}


def shown_commands():
    for name, text in TEXTS.items():
        for line in re.findall(r"pytest-finetune registry ([^\n`|;)]+)", text):
            words = shlex.split(line.replace("<(", ""), comments=True)
            if words and words[0].isalpha():
                yield pytest.param(words, id=f"{name}:{' '.join(words[:3])}")


@pytest.mark.parametrize("words", list(shown_commands()))
def test_every_command_that_is_shown_takes_the_options_it_is_shown_with(words):
    found = command.commands[words[0]]
    options = {option for parameter in found.params if isinstance(parameter, click.Option) for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_every_command_is_told_of():
    told = set(re.findall(r"`([a-z]+)[ `]", TEXTS["registry"]))
    assert set(command.commands) <= told


def test_the_announced_ends_are_those_of_the_code():
    rows = re.findall(r"^\| (\d{4}-\d{2}-\d{2}) \| (.+) \|$", TEXTS["registry"], re.MULTILINE)
    assert {name: day for day, names in rows for name in names.split(", ")} == {
        name: day.isoformat() for name, day in ANNOUNCED.items()
    }
    assert str(LAST_FINE_TUNING_DAY) in TEXTS["registry"]
    assert SOURCE in TEXTS["registry"]
