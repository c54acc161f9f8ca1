"""Commands, options, thresholds and faults in docs/training.md are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pytest_finetune.cli import diagnose, main
from pytest_finetune.cli.train import command
from pytest_finetune.lifecycle.registry.announcements import LAST_FINE_TUNING_DAY
from pytest_finetune.lifecycle.training import diagnosis, loss_shape
from pytest_finetune.lifecycle.training.advice import KNOWN_FAULTS
from pytest_finetune.lifecycle.training.diagnosis import Condition
from pytest_finetune.lifecycle.training.hyperparameters import suggest

TEXT = (Path(__file__).parents[1] / "docs" / "training.md").read_text("utf-8")


def commands():
    context = click.Context(command)
    found = {f"train {name}": command.get_command(context, name) for name in command.list_commands(context)}
    return {**found, "diagnose": diagnose.command}


def options_of(one):
    return {word for option in one.params if isinstance(option, click.Option) for word in option.opts}


def rows(head):
    block = re.search(rf"^\| {head} \|.*?\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block[1].splitlines()]


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_documented(name):
    assert f"`{name}`" in TEXT


def test_each_shown_command_accepts_its_options():
    shown = re.findall(r"^\$ pytest-finetune (.*)$", TEXT, re.MULTILINE)
    assert len(shown) == 5
    for line in shown:
        words = shlex.split(line)
        name = " ".join(words[:2]) if words[0] == "train" else words[0]
        assert {word for word in words if word.startswith("-")} <= options_of(commands()[name])


def test_the_page_names_exactly_the_options_that_exist():
    there = {word for one in commands().values() for word in options_of(one) if word.startswith("--")}
    documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT))
    assert documented <= there
    # Explained well enough by --help.
    assert there - documented <= {"--who", "--model", "--runs-dir", "--concurrency", "--force", "--output", "--suffix"}


def test_the_exit_codes_of_every_command_are_documented():
    for name in commands():
        result = CliRunner().invoke(main, [*name.split(), "--help"], prog_name="pytest-finetune", terminal_width=80)
        assert "Exit codes:" in result.output, name
        assert all(len(line) <= 80 for line in result.output.splitlines())


def test_the_hyperparameters_are_those_of_the_code():
    found = {row[0]: (row[1], row[2]) for row in rows("examples")}
    for name, examples in (("under 100", 99), ("100 to 1,000", 100), ("100 to 1,000", 1000), ("above 1,000", 1001)):
        values = suggest(examples).values
        assert found[name] == (str(values.n_epochs), str(values.learning_rate_multiplier))


def test_the_known_faults_are_those_of_the_code():
    assert [row[0] for row in rows("known fault")] == [fault.name for fault in KNOWN_FAULTS]
    assert str(LAST_FINE_TUNING_DAY) in TEXT


def test_the_thresholds_are_those_of_the_code():
    found = {row[0]: (row[1], row[2]) for row in rows("question")}
    assert list(found) == [kind.value for kind in Condition]
    for kind, yes, no in (
        (Condition.OVERFITTING, (diagnosis.GAP, loss_shape.RISE), (diagnosis.TOLERATED_GAP,)),
        (Condition.UNDERFITTING, (diagnosis.LEARNT,), (diagnosis.LEARNT_ENOUGH,)),
        (Condition.UNSTABLE_FORMAT, (diagnosis.INVALID,), (diagnosis.TOLERATED_INVALID,)),
    ):
        assert {float(figure) for figure in re.findall(r"\d+\.\d+", found[kind][0])} == set(yes)
        assert {float(figure) for figure in re.findall(r"\d+\.\d+", found[kind][1])} == set(no)
