"""What commands print: coloured lines for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from pytest_finetune.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.reports.text import Line

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def print_lines(lines: Iterable[Line]) -> None:
    """Lines for people, coloured where the terminal has colours."""
    for text, markup in lines:
        colour = next((name for name in markup if name != "bold"), None)
        click.secho(text, fg=colour, bold=markup.get("bold"))


def print_json(value: object) -> None:
    """One JSON value for programs."""
    # All but ASCII is escaped, so that no control code of an answer reaches a terminal.
    click.echo(json.dumps(value, indent=1))


class ProgressLine:
    """The progress of an evaluation, on the terminal's last line; silent if stderr is no terminal."""

    def __init__(self, doing: str) -> None:
        self._doing, self._is_terminal = doing, sys.stderr.isatty()

    def show(self, done: int, planned: int) -> None:
        """Show how many samples there are, of how many planned."""
        if self._is_terminal:
            click.echo(f"\r\033[K{self._doing}: {done:,}/{planned:,}", nl=False, err=True)

    def note(self, text: str) -> None:
        """Print a message above the line."""
        self.clear()
        click.echo(printable(text), err=True)

    def clear(self) -> None:
        """Remove the line."""
        if self._is_terminal:
            click.echo("\r\033[K", nl=False, err=True)
