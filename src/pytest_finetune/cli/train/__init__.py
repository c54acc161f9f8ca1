"""`pytest-finetune train`: fine-tuning jobs from a data file to a candidate in the registry."""

from __future__ import annotations

import click

from pytest_finetune.cli.late_group import LateGroup

_HERE = "pytest_finetune.cli.train"
_LATE = {
    "suggest": f"{_HERE}.suggest:command",
    "start": f"{_HERE}.start:command",
    "watch": f"{_HERE}.watch:command",
    "list": f"{_HERE}.jobs:list_jobs",
    "events": f"{_HERE}.jobs:events",
    "checkpoints": f"{_HERE}.jobs:checkpoints",
    "cancel": f"{_HERE}.jobs:cancel",
    "pause": f"{_HERE}.jobs:pause",
    "resume": f"{_HERE}.jobs:resume",
    "sweep": f"{_HERE}.sweep:command",
}


@click.group("train", cls=LateGroup, late=_LATE)
def command() -> None:
    """Fine-tune models on OpenAI's API, or on any server that speaks it.

    The server is --base-url, else OPENAI_BASE_URL, else OpenAI's own; the key is OPENAI_API_KEY, which a server of your
    own may not need. What is known of each job is kept in .finetune/jobs.

    \b
    Exit codes:
      0    done and good
      1    done and not good: the data, the job or every checkpoint failed
      2    could not be done
      130  interrupted; a job goes on without its watcher
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
