"""A command whose subcommands are loaded only when they are called: each brings libraries of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


class LateGroup(click.Group):
    """
    Loads a subcommand when it is asked for.

    Args:
        late: `package.module:attribute` of each subcommand, by its name, in the order in which people need them.
    """

    def __init__(self, *args: Any, late: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.late = late

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, without loading anything."""
        return list(self.late)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load one subcommand."""
        if cmd_name not in self.late:
            return None
        module, _, attribute = self.late[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command
