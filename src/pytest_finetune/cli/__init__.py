"""The `pytest-finetune` command: a thin layer over the core, with one module per subcommand."""

from __future__ import annotations

import os

import click

from pytest_finetune import __version__
from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand, exit_codes

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells: 128 plus the number of SIGINT."""


class _Error(click.ClickException):
    """Printed by click as one message; exits with 2."""

    exit_code = 2


class _MainGroup(LazyGroup):
    """Turns this project's errors into one message and exit code 2."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            return super().invoke(ctx)
        except FinetuneError as error:
            raise _Error(str(error)) from error
        except (KeyboardInterrupt, click.Abort):
            # click would exit with 1, which here means that a check failed.
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@exit_codes("0    success", "1    a check failed", "2    error", "130  interrupted")
@click.group(cls=_MainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Prepare data, fine-tune models, and manage runs, gates and model versions.

    To evaluate a model, run `pytest --model=…`.
    """


_HERE = "pytest_finetune.cli"
main.subcommands = {
    "init": Subcommand(f"{_HERE}.init:command", "Write a first eval set, from your own rows or from examples."),
    "doctor": Subcommand(f"{_HERE}.doctor:command", "Check the key, the server, the eval sets and the installation."),
    "run": Subcommand(f"{_HERE}.run:command", "Evaluate a model over EVAL_SETS, without pytest."),
    "batch": Subcommand(f"{_HERE}.batch:command", "Export requests for an offline engine, and import its answers."),
    "data": Subcommand(f"{_HERE}.data:command", "Prepare, check, split, price and profile training data."),
    "import": Subcommand(f"{_HERE}.import_:command", "Turn files of other evaluation tools into eval sets and runs."),
    "train": Subcommand(f"{_HERE}.train:command", "Fine-tune models on OpenAI's API or a compatible server."),
    "gates": Subcommand(f"{_HERE}.gates:command", "Plan and test gates, and the judges that they rely on."),
    "runs": Subcommand(f"{_HERE}.runs:command", "List, show, compare, report and remove recorded runs."),
    "view": Subcommand(f"{_HERE}.view:command", "View and compare recorded runs in a browser, and review their cases."),
    "diagnose": Subcommand(
        f"{_HERE}.diagnose:command", "Find overfitting, underfitting and an unstable output format."
    ),
    "registry": Subcommand(f"{_HERE}.registry:command", "Track model versions and promote them on evidence."),
    "migrate": Subcommand(f"{_HERE}.migrate:command", "Move from a model that is shut down to its successor."),
    "serve": Subcommand(f"{_HERE}.serve:command", "Serve OpenAI's API on this machine, fine-tuning included."),
}
