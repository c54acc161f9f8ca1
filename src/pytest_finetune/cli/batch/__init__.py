"""`pytest-finetune batch`: evaluations whose requests are answered by an offline engine."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


@click.group("batch", cls=LazyGroup)
def command() -> None:
    """Export requests for an offline engine, and import its answers.

    An offline engine is for example vllm run-batch. A server with a batch API needs neither: pytest and
    pytest-finetune run send the requests themselves with --batch.
    """


command.subcommands = {
    "export": Subcommand("pytest_finetune.cli.batch.export:command", "Write the requests of an evaluation to a file."),
    "import": Subcommand("pytest_finetune.cli.batch.import_:command", "Evaluate what an offline engine answered."),
}
