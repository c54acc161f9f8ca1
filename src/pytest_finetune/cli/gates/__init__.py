"""`pytest-finetune gates`: gates tested before any model is evaluated with them."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


@click.group("gates", cls=LazyGroup)
def command() -> None:
    """Plan and test gates, and the judges that they rely on."""


command.subcommands = {
    "calibrate": Subcommand(
        "pytest_finetune.cli.gates.calibrate:command", "Measure how well a judge agrees with people."
    ),
    "check": Subcommand(
        "pytest_finetune.cli.gates.check:command", "Show how many bad answers it takes to fail each gate."
    ),
    "plan": Subcommand(
        "pytest_finetune.cli.gates.plan:command", "Show what each gate will probably say, and how many cases it takes."
    ),
}
