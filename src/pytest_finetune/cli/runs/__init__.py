"""`pytest-finetune runs`: recorded runs, read from their records alone."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


@click.group("runs", cls=LazyGroup)
def command() -> None:
    """List, show, compare, report and remove recorded runs.

    RUN, A and B are a run's id, a unique prefix of it, a path to its folder, or
    `last`.
    """


_COMMANDS = "pytest_finetune.cli.runs.commands"
command.subcommands = {
    "list": Subcommand(f"{_COMMANDS}:list_runs", "List runs, newest first."),
    "show": Subcommand(f"{_COMMANDS}:show", "Show one run: target, eval sets, verdicts, totals and versions."),
    "compare": Subcommand(f"{_COMMANDS}:compare", "Compare run B with run A, case by case."),
    "history": Subcommand(
        "pytest_finetune.cli.runs.history:command", "Show an eval set over all runs: flaky and lost cases."
    ),
    "merge": Subcommand("pytest_finetune.cli.runs.merging:command", "Put the runs of all shards together, and judge."),
    "report": Subcommand(f"{_COMMANDS}:report", "Write a run as one HTML page that works offline."),
    "remove": Subcommand("pytest_finetune.cli.runs.removing:remove", "Remove runs with all their answers."),
    "prune": Subcommand("pytest_finetune.cli.runs.removing:prune", "Remove old runs."),
}
