"""`pytest-finetune gates`: gates tested before any model is evaluated with them."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


@click.group("gates", cls=LazyGroup)
def command() -> None:
    """Test the gates of eval sets, without a model."""


command.subcommands = {
    "check": Subcommand(
        "pytest_finetune.cli.gates.check:command", "Show how many bad answers it takes to fail each gate."
    ),
}
