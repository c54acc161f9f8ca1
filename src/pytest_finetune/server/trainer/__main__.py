"""`python -m pytest_finetune.server.trainer FOLDER`: train the job of a folder; progress goes to standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pytest_finetune.base.errors import FinetuneError

_QUIET = {
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment variables that the libraries read on import: no progress bars, no messages, no network access."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--leash", "attached", is_flag=True, help="Read `pause` and `cancel` from standard input; exit when it is closed."
)
def main(folder: Path, *, attached: bool) -> None:
    """Train the job that FOLDER/job.json describes, from its last saved state if there is one.

    The adapter after each epoch is FOLDER/epoch-N.gguf.

    \b
    Exit codes:
      0  it finished, or was paused or cancelled on request
      1  it failed; the last line has the reason
      2  it could not be started
      3  the server that started it is gone
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    os.environ.update(_QUIET)
    from pytest_finetune.server.trainer.job import read_training_job
    from pytest_finetune.server.trainer.parent_link import ParentLink, no_stop

    requested_stop = ParentLink().requested_stop if attached else no_stop
    try:
        job = read_training_job(folder)
        from pytest_finetune.server.trainer.training import train

        done = train(folder, job, requested_stop)
    except FinetuneError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    main()
