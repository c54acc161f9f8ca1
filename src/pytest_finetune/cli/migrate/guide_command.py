"""`pytest-finetune migrate guide`: all steps in order."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_finetune.cli.lazy_group import as_one, exit_codes
from pytest_finetune.cli.migrate.account import GuideOptions, repeats_option
from pytest_finetune.cli.migrate.guide import guide
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
@click.command("guide")
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
    """Go through all steps; the default.

    The steps are inventory, record, candidates, judge, distil and promote. Those that send requests run once you
    agree, at the terminal or by --yes; for the others the command is printed. Run it again at any time: it goes on
    where it is.
    """
    click.get_current_context().exit(guide(options))
