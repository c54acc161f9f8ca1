"""Options of the commands that send requests to a model."""

from __future__ import annotations

import click

from pytest_finetune.cli.train.options import read_dollars

concurrency_option = click.option(
    "--concurrency", type=click.IntRange(min=1), default=32, show_default=True, help="Maximum concurrent requests."
)
batch_option = click.option(
    "--batch", is_flag=True, help="Send the requests as batches, at their price, and wait for the answers."
)
deadline_option = click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds for one answer, retries included.",
)
max_cost_option = click.option(
    "--max-cost", metavar="USD", callback=read_dollars, help="Stop sending requests once this much is spent."
)
