"""`pytest-finetune data`: prepares, checks, splits, prices and profiles training data."""

from __future__ import annotations

import click

from pytest_finetune.cli.lazy_group import LazyGroup, Subcommand


@click.group("data", cls=LazyGroup)
def command() -> None:
    """Prepare, check, split, price and profile training data."""


_HERE = "pytest_finetune.cli.data"
command.subcommands = {
    "prepare": Subcommand(
        f"{_HERE}.prepare:command", "Convert raw records to training examples in OpenAI's chat format."
    ),
    "check": Subcommand(f"{_HERE}.check:command", "Check training, validation and eval files for problems."),
    "split": Subcommand(f"{_HERE}.split:command", "Split a JSONL file into training, validation and test files."),
    "price": Subcommand(f"{_HERE}.price:command", "Estimate the cost of training, evaluation and monthly traffic."),
    "profile": Subcommand(f"{_HERE}.profile:command", "Summarize lengths, tokens, labels, languages and findings."),
}
