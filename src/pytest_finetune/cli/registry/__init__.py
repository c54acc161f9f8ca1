"""`pytest-finetune registry`: which versions there are, what earned their place, and the steps between places."""

from __future__ import annotations

import click

from pytest_finetune.cli.registry import changing, looking, promoting


@click.group("registry")
def command() -> None:
    """Keep model versions and promote them by evidence.

    \b
    Exit codes:
      0  done
      1  refused by the evidence, or something was found
      2  could not be done
    """  # noqa: D301 - click takes the backspace itself for "do not fold"


for _subcommand in (*looking.COMMANDS, *promoting.COMMANDS, *changing.COMMANDS):
    command.add_command(_subcommand)
