"""What `train watch` prints: each event once, with a progress bar below them on a terminal, or JSON lines."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.text import shorten
from pytest_finetune.cli.output import print_lines
from pytest_finetune.lifecycle.training.job import KNOWN, PAUSED, FineTuningEvent
from pytest_finetune.lifecycle.training.polling import ConnectionLost, ConnectionRestored
from pytest_finetune.reports.training import bar_line, event_json, event_line, job_json

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.curves import Pace
    from pytest_finetune.lifecycle.training.job import FineTuningJob
    from pytest_finetune.lifecycle.training.money import TrainingPrices
    from pytest_finetune.lifecycle.training.polling import Update

_WIPE = "\r\033[K"


class JobOutput:
    """
    Prints the progress of one job as text.

    On a terminal, steps move a bar on stderr and print no lines; elsewhere every event is a line. A status is printed
    when it changes, an unknown one only once.

    Args:
        pace: Updated with every event, for the time left.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace, self._status, self._drawn = pace, "", False
        self._unknown: set[str] = set()
        self._bar = sys.stderr.isatty()

    def show(self, update: Update) -> None:
        """Print one update."""
        if isinstance(update, FineTuningEvent):
            self._show_event(update)
        elif isinstance(update, ConnectionLost):
            self.message(f"{shorten(update.problem, 200)}; retrying", "yellow")
        elif isinstance(update, ConnectionRestored):
            self.message(f"the server is back after {update.seconds:.0f} s")
        else:
            self._show_job(update)

    def message(self, text: str, colour: str = "") -> None:
        """Print a message that is not an event of the job."""
        self.clear_bar()
        click.secho(text, fg=colour or None, err=True)

    def clear_bar(self) -> None:
        """Clear the bar."""
        if self._drawn:
            click.echo(_WIPE, nl=False, err=True)
            self._drawn = False

    def _show_event(self, event: FineTuningEvent) -> None:
        is_step = self._pace.add(event)
        if self._bar and is_step and sys.stdout.isatty():
            return
        self.clear_bar()
        print_lines([event_line(event)])

    def _show_job(self, job: FineTuningJob) -> None:
        if job.status not in KNOWN:
            if job.status not in self._unknown:
                self._unknown.add(job.status)
                self.message(
                    f"unknown status {shorten(job.status, 40)}: treated as still running",
                    "yellow",
                )
        elif job.status != self._status and job.status == PAUSED:
            self.message(f"paused; to resume: pytest-finetune train resume {shorten(job.id)}", "yellow")
        self._status = job.status
        if self._bar and not job.has_ended:
            self._draw_bar(job)

    def _draw_bar(self, job: FineTuningJob) -> None:
        width = shutil.get_terminal_size().columns - 1
        click.echo(_WIPE + bar_line(self._pace, job, datetime.now(UTC), width), nl=False, err=True)
        self._drawn = True


class JsonJobOutput(JobOutput):
    """Prints the progress as JSON, one object per line, each with a `type`."""

    def __init__(self, pace: Pace, prices: TrainingPrices) -> None:
        super().__init__(pace)
        self._bar, self._prices = False, prices

    def show(self, update: Update) -> None:
        """Print one update."""
        if isinstance(update, FineTuningEvent):
            self._pace.add(update)
            self.write("event", event_json(update))
        elif isinstance(update, ConnectionLost):
            self.write("lost", {"problem": update.problem})
        elif isinstance(update, ConnectionRestored):
            self.write("back", {"seconds": round(update.seconds, 3)})
        elif update.status != self._status:
            self._status = update.status
            self.write("status", {"known": update.status in KNOWN, "job": job_json(update, self._prices)})

    def write(self, kind: str, value: dict[str, Any]) -> None:
        """Print one line."""
        # json.dumps escapes everything outside ASCII, so no control code from a server reaches a terminal.
        click.echo(json.dumps({"type": kind, **value}))
