"""The `pytest-finetune` command: thin shells on the core, each saying in its help what it does and how it ends."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click

from pytest_finetune import __version__
from pytest_finetune.base.errors import FinetuneError

COMMANDS = {
    "data": "Prepare, check, split, price and describe training files.",
    "diagnose": "Tell from a run why a fine-tuned model is not better.",
    "gates": "Try the gates of eval sets.",
    "registry": "Keep model versions and promote them by evidence.",
    "runs": "Look at recorded runs.",
    "train": "Fine-tune models, follow the jobs, choose a checkpoint.",
    "serve": "Serve OpenAI's API on this machine, fine-tuning included.",
}


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""


class CannotBeDone(click.ClickException):
    """What click prints as one message before it exits with 2."""

    exit_code = 2


class FinetuneGroup(click.Group):
    """Loads a subcommand's module only when it is called, and turns this project's errors into one message, exit 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, without loading anything."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"pytest_finetune.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and tell what cannot be done in the words of the error."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except FinetuneError as error:
            raise CannotBeDone(str(error)) from error
        except (KeyboardInterrupt, click.Abort):
            # click would end with 1, which says "done and not good" here.
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=FinetuneGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Eval sets, runs and gates of fine-tuned models, beside `pytest --model=…`.

    Exit codes: 0 done and good, 1 done and not good, 2 could not be done, 130 interrupted.
    """
