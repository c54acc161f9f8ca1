"""`pytest-finetune data`: training files prepared, checked, split, priced and described before they are paid for."""

from __future__ import annotations

import click

from pytest_finetune.cli.late_group import LateGroup

SUBCOMMANDS = ("prepare", "check", "split", "price", "profile")
"""In the order in which people need them."""


@click.group("data", cls=LateGroup, late={name: f"pytest_finetune.cli.data.{name}:command" for name in SUBCOMMANDS})
def command() -> None:
    """Prepare, check, split, price and describe training files."""
