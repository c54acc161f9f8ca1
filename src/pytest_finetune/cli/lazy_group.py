"""Command groups that import a subcommand only when it runs, so that help and completion stay fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Mapping


class Subcommand(NamedTuple):
    """
    A subcommand that has not been imported.

    Args:
        location: Where it is, as `package.module:attribute`.
        summary: The first line of its help, which the help of its group shows.
    """

    location: str
    summary: str


class LazyGroup(click.Group):
    """A group whose help, listing and completion are read from `subcommands`, in its order."""

    subcommands: Mapping[str, Subcommand] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self.subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import one subcommand; None if there is no such name."""
        if cmd_name not in self.subcommands:
            return None
        module, _, attribute = self.subcommands[cmd_name].location.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Write the summaries whole; click imports every subcommand and cuts its summary to fit one line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.summary) for name, found in self.subcommands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names of subcommands, then options."""
        names = [
            CompletionItem(name, help=found.summary)
            for name, found in self.subcommands.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)
