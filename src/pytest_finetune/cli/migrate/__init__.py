"""`pytest-finetune migrate`: from a model that is shut down to its successor."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


@click.group("migrate", cls=LazyGroup)
def command() -> None:
    """Move from a model that is shut down to its successor.

    docs/migrate.md walks through all steps.
    """


command.subcommands = {
    "inventory": Subcommand(
        "pytest_finetune.cli.migrate.inventory:command", "List the models in use, and the days that each has left."
    ),
    "report": Subcommand(
        "pytest_finetune.cli.migrate.report:command", "Compare successors with the model that is shut down."
    ),
    "distil": Subcommand(
        "pytest_finetune.cli.migrate.distil:command", "Turn the answers of a recorded run into training data."
    ),
}
