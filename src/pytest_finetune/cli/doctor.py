"""`pytest-finetune doctor`: is everything in place for an evaluation?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import json_option, print_json, print_lines
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.lifecycle.setup_checks import CheckState, Setup, check_setup
from pytest_finetune.reports.setup_checks import setup_check_lines


@exit_codes("0  no errors", "1  at least one error", "2  the command line is wrong")
@click.command("doctor")
@click.option("--model", default="", metavar="ID", help="Also check that the server has this model, and its price.")
@click.option("--base-url", default="", metavar="URL", help="Server to use.  [default: OPENAI_BASE_URL, else OpenAI]")
@click.option("--registry", default=DEFAULT, metavar="PATH|mlflow:URI", show_default=True, help="Model registry.")
@json_option
def command(*, model: str, base_url: str, registry: str, as_json: bool) -> None:
    """Check the key, the server, the eval sets and the installation.

    The only request is for the server's list of models, which costs nothing. The key is never shown.
    """
    checks = []
    for check in check_setup(Setup(Path.cwd(), base_url, model, registry)):
        checks.append(check)
        if not as_json:
            print_lines(setup_check_lines(check))
    if as_json:
        print_json([asdict(check) for check in checks])
    sys.exit(1 if any(check.state is CheckState.ERROR for check in checks) else 0)
