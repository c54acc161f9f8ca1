"""`pytest-finetune train`: fine-tuning jobs, from a data file to a candidate in the registry."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand, exit_codes


@exit_codes(
    "0    success",
    "1    the data, the job or every checkpoint failed",
    "2    error",
    "130  interrupted; the job keeps running",
)
@click.group("train", cls=LazyGroup)
def command() -> None:
    """Fine-tune models on OpenAI's API or a compatible server.

    The server is --base-url, or else OPENAI_BASE_URL, or else OpenAI. The API key is OPENAI_API_KEY; your own server
    may not need one. Job records are kept in .finetune/jobs.
    """


_HERE = "pytest_finetune.cli.train"
command.subcommands = {
    "suggest": Subcommand(f"{_HERE}.suggest:command", "Suggest hyperparameters for TRAINING."),
    "start": Subcommand(f"{_HERE}.start:command", "Start fine-tuning a model on TRAINING; safe to repeat."),
    "watch": Subcommand(f"{_HERE}.watch:command", "Follow JOB to its end and add its model to the registry."),
    "list": Subcommand(f"{_HERE}.jobs:list_jobs", "List the jobs of the server, newest first."),
    "events": Subcommand(f"{_HERE}.jobs:events", "Show the events of JOB, oldest first."),
    "checkpoints": Subcommand(f"{_HERE}.jobs:checkpoints", "List the checkpoint models of JOB."),
    "cancel": Subcommand(f"{_HERE}.jobs:cancel", "Cancel JOB; its checkpoints are kept."),
    "pause": Subcommand(f"{_HERE}.jobs:pause", "Pause JOB after its current step."),
    "resume": Subcommand(f"{_HERE}.jobs:resume", "Resume a paused JOB."),
    "sweep": Subcommand(f"{_HERE}.sweep:command", "Evaluate every checkpoint of JOB and name the best one."),
}
