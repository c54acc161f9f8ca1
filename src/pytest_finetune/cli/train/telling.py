"""What a watcher writes while a job runs: events once, a bar below them on a terminal, or JSON lines for programs."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pytest_finetune.base.text import shorten
from pytest_finetune.cli.output import print_lines
from pytest_finetune.lifecycle.training.job import KNOWN, PAUSED, JobEvent
from pytest_finetune.lifecycle.training.watching import Back, Lost
from pytest_finetune.reports.training import bar_line, event_json, event_line, job_json

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.curves import Pace
    from pytest_finetune.lifecycle.training.job import Job
    from pytest_finetune.lifecycle.training.watching import Update

_WIPE = "\r\033[K"


class Telling:
    """
    Tells what happens to one job, for people.

    On a terminal the steps are a bar on standard error, and no lines; elsewhere every event is a line. A status is
    told when it changes, and one that nobody knows only once.

    Args:
        pace: Told of every event.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace, self._status, self._drawn = pace, "", False
        self._strange: set[str] = set()
        self._bar = sys.stderr.isatty()

    def see(self, update: Update) -> None:
        """Tell one thing that happened."""
        if isinstance(update, JobEvent):
            self._event(update)
        elif isinstance(update, Lost):
            self.say(f"{shorten(update.problem, 200)}; trying again until it answers", "yellow")
        elif isinstance(update, Back):
            self.say(f"the server answers again, after {update.seconds:.0f} s")
        else:
            self._look(update)

    def say(self, text: str, colour: str = "") -> None:
        """Tell something that is no event of the job's."""
        self.wipe()
        click.secho(text, fg=colour or None, err=True)

    def wipe(self) -> None:
        """Take the bar away."""
        if self._drawn:
            click.echo(_WIPE, nl=False, err=True)
            self._drawn = False

    def _event(self, event: JobEvent) -> None:
        is_step = self._pace.see(event)
        if self._bar and is_step and sys.stdout.isatty():
            return
        self.wipe()
        print_lines([event_line(event)])

    def _look(self, job: Job) -> None:
        if job.status not in KNOWN:
            if job.status not in self._strange:
                self._strange.add(job.status)
                self.say(
                    f"status {shorten(job.status, 40)}: not one that is known here, so neither an end nor a success",
                    "yellow",
                )
        elif job.status != self._status and job.status == PAUSED:
            self.say(f"paused; it goes on with: pytest-finetune train resume {shorten(job.id)}", "yellow")
        self._status = job.status
        if self._bar and not job.has_ended:
            self._draw(job)

    def _draw(self, job: Job) -> None:
        width = shutil.get_terminal_size().columns - 1
        click.echo(_WIPE + bar_line(self._pace, job, datetime.now(UTC), width), nl=False, err=True)
        self._drawn = True


class JsonTelling(Telling):
    """The same for programs: one JSON object a line, each with its `type`."""

    def __init__(self, pace: Pace, base_url: str) -> None:
        super().__init__(pace)
        self._bar, self._base_url = False, base_url

    def see(self, update: Update) -> None:
        """Write one thing that happened."""
        if isinstance(update, JobEvent):
            self._pace.see(update)
            self.write("event", event_json(update))
        elif isinstance(update, Lost):
            self.write("lost", {"problem": update.problem})
        elif isinstance(update, Back):
            self.write("back", {"seconds": round(update.seconds, 3)})
        elif update.status != self._status:
            self._status = update.status
            self.write("status", {"known": update.status in KNOWN, "job": job_json(update, self._base_url)})

    def write(self, kind: str, value: dict[str, Any]) -> None:
        """One line."""
        # All but ASCII is escaped, so that no control code of a server reaches a terminal.
        click.echo(json.dumps({"type": kind, **value}))
