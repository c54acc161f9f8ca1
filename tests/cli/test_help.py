"""Help pages are complete, fit 80 columns, and show subcommands without importing them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from pytest_finetune.cli import main
from pytest_finetune.cli.lazy_group import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))


ROOT = Path(__file__).parents[2]
PAGES = [path for path in (ROOT / "docs").glob("*.md") if path.name != "reference.md"]  # which is made from the code
DOCUMENTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "README.md", *PAGES))
COMMANDS = dict(walk(main))
GROUPS = {path: command for path, command in COMMANDS.items() if isinstance(command, LazyGroup)}


def name_of(path: object) -> str | None:
    return " ".join(path) or "main" if isinstance(path, tuple) else None


def help_of(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(main, [*path, "--help"], prog_name="pytest-finetune", env={"COLUMNS": "80"})
    assert result.exit_code == 0
    return result.output


def test_every_group_is_lazy() -> None:
    assert [path for path, command in COMMANDS.items() if isinstance(command, click.Group)] == list(GROUPS)
    assert {("data",), ("train",), ("gates",), ("runs",), ("registry",)} < set(GROUPS)


@pytest.mark.parametrize("path", list(COMMANDS), ids=name_of)
def test_help_fits_80_columns_and_cuts_nothing(path: tuple[str, ...]) -> None:
    text = help_of(path)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "..." not in text.partition("\n\n")[2]


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in GROUPS], ids=name_of)
def test_help_lists_the_exit_codes_and_explains_every_option(path: tuple[str, ...]) -> None:
    assert re.search(r"  Exit codes:\s+0 ", help_of(path))
    options = [parameter for parameter in COMMANDS[path].params if isinstance(parameter, click.Option)]
    assert [option.opts for option in options if not option.help and not option.hidden] == []


@pytest.mark.parametrize("path", list(GROUPS), ids=name_of)
def test_a_summary_is_the_first_line_of_its_command_s_help(path: tuple[str, ...]) -> None:
    firsts = {}
    for name in GROUPS[path].subcommands:
        text = COMMANDS[*path, name].help
        assert text is not None
        firsts[name] = text.partition("\n\n")[0]
    assert {name: found.summary for name, found in GROUPS[path].subcommands.items()} == firsts


@pytest.mark.slow
@pytest.mark.parametrize("path", list(GROUPS), ids=name_of)
def test_help_imports_no_subcommand(path: tuple[str, ...]) -> None:
    assert imported_by(f"main({[*path, '--help']!r}, standalone_mode=False)") == {
        "base",
        "base.errors",
        "cli",
        "cli.lazy_group",
        *(".".join(("cli", *path[: at + 1])) for at in range(len(path))),
    }


def test_completion_imports_no_subcommand() -> None:
    complete = "ShellComplete(main, {}, 'pytest-finetune', '_X').get_completions([], '')"
    assert imported_by(f"from click.shell_completion import ShellComplete; assert len({complete}) > 6") == {
        "base",
        "base.errors",
        "cli",
        "cli.lazy_group",
    }


def imported_by(statement: str) -> set[str]:
    program = (
        "import json, sys\nfrom pytest_finetune.cli import main\n"
        f"{statement}\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('pytest_finetune.')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return {name.removeprefix("pytest_finetune.") for name in json.loads(done.stdout.splitlines()[-1])}


def test_an_unknown_subcommand_is_refused() -> None:
    result = CliRunner().invoke(main, ["data", "nope"])
    assert result.exit_code == 2
    assert "No such command 'nope'" in result.output


def test_names_and_summaries_are_completed() -> None:
    found = ShellComplete(main, {}, "pytest-finetune", "_X").get_completions(["data"], "pr")
    assert [(each.value, each.help) for each in found] == [
        (name, GROUPS["data",].subcommands[name].summary) for name in ("prepare", "price", "profile")
    ]


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in GROUPS], ids=name_of)
def test_every_command_and_its_options_are_documented(path: tuple[str, ...]) -> None:
    group, name = " ".join(path[:-1]), path[-1]
    assert re.search(rf"pytest-finetune {' '.join(path)}\b|`({group} )?{name}\b", DOCUMENTS)
    documented = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", DOCUMENTS))
    options = [each for each in COMMANDS[path].params if isinstance(each, click.Option) and not each.hidden]
    assert [option.opts for option in options if documented.isdisjoint(option.opts)] == []
