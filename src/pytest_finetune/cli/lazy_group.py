"""How commands are made: lazily imported subcommands, lists of exit codes, and options as one object."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from inspect import cleandoc
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Command = TypeVar("Command", bound=click.Command)
T = TypeVar("T")


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
    """A group whose help, listing and completion come from `subcommands`, in its order, so that they are fast."""

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


def exit_codes(*lines: str) -> Callable[[Command], Command]:
    """Append a list of exit codes to the help of a command, one line each, such as `0  success`."""

    def append(command: Command) -> Command:
        # click takes the backspace for "do not fold this paragraph".
        codes = ("\b", "Exit codes:", *(f"  {line}" for line in lines))
        command.help = "\n".join((cleandoc(command.help or ""), "", *codes))
        return command

    return append


def as_one(options: Callable[..., T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Call a command with one frozen object instead of one argument per option, so that its helpers can take it."""

    def decorate(command: Callable[[T], None]) -> Callable[..., None]:
        @wraps(command)
        def call(**values: object) -> None:
            command(options(**values))

        return call

    return decorate
