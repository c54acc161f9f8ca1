"""`pytest-finetune migrate`: from a model that is shut down to its successor."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


class _GuideByDefault(LazyGroup):
    """Without a subcommand, and with options alone, `guide` runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name the subcommand that is meant."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["guide", *args]
        return super().parse_args(ctx, args)


@click.group("migrate", cls=_GuideByDefault)
def command() -> None:
    """Move from a model that is shut down to its successor.

    Without a COMMAND, `guide` runs: all steps in order, as far as they can go.

    docs/migrate.md walks through all steps.
    """


command.subcommands = {
    "guide": Subcommand("pytest_finetune.cli.migrate.guide_command:command", "Go through all steps; the default."),
    "inventory": Subcommand(
        "pytest_finetune.cli.migrate.inventory:command", "List the models in use, and the days that each has left."
    ),
    "record": Subcommand(
        "pytest_finetune.cli.migrate.record:command", "Record what a model answers, while it can still be asked."
    ),
    "candidates": Subcommand("pytest_finetune.cli.migrate.candidates:command", "List models that could replace one."),
    "judge": Subcommand(
        "pytest_finetune.cli.migrate.judge:command", "Evaluate successors, and compare them with the recorded answers."
    ),
    "report": Subcommand(
        "pytest_finetune.cli.migrate.report:command", "Compare recorded runs: what replaces the model, at what cost."
    ),
    "distil": Subcommand(
        "pytest_finetune.cli.migrate.distil:command", "Turn the answers of a recorded run into training data."
    ),
}
