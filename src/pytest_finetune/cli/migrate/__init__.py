"""`pytest-finetune migrate`: from a model that is shut down to its successor."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand, as_one, exit_codes
from pytest_finetune.cli.migrate.account import GuideOptions, repeats_option
from pytest_finetune.cli.migrate.report import confidence_option, margin_option, monthly_calls_option
from pytest_finetune.cli.output import json_option
from pytest_finetune.cli.registry_option import registry_option
from pytest_finetune.cli.request_options import max_cost_option
from pytest_finetune.cli.train.options import base_url_option


@exit_codes(
    "0  nothing is left to do",
    "1  a step is left; its command is printed",
    "2  error, or an evaluation stopped early",
)
@click.group("migrate", cls=LazyGroup, invoke_without_command=True)
@click.option("--model", default="", metavar="ID", help="Model to replace.  [default: the one that is shut down soon]")
@click.option(
    "--successor",
    "successors",
    multiple=True,
    metavar="SPEC",
    help="Model to judge; repeatable.  [default: the first candidate]",
)
@click.option("--ask", is_flag=True, help="Also list the account's fine-tuned models and fine-tuning jobs.")
@click.option("-y", "--yes", is_flag=True, help="Send the requests without confirmation.")
@repeats_option
@max_cost_option
@margin_option
@confidence_option
@monthly_calls_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write Markdown to this file.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@json_option
@base_url_option
@registry_option
@as_one(GuideOptions)
def command(options: GuideOptions) -> None:
    """Move from a model that is shut down to its successor.

    Without a COMMAND, all steps in order: inventory, record, candidates, judge, distil, promote. Steps that send
    requests run once you agree, at the terminal or by --yes; for the others the command is printed. Run it again
    at any time: it goes on where it is.

    docs/migrate.md walks through all steps.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        from pytest_finetune.cli.migrate.guide import guide

        context.exit(guide(options))
    given = [
        parameter.opts[-1]
        for parameter in command.params
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: options of a command follow its name")


command.subcommands = {
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
