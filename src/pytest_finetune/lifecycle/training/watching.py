"""A job followed to its end: through lost connections and restarts of its server, every event once and in order."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.faults import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job import Job, JobEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pytest_finetune.lifecycle.training.service import FineTuning

LONGEST_WAIT = 60.0
"""Seconds between two tries to reach a server that does not answer; they begin at the usual interval and double."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The server does not answer; it is asked again."""

    problem: str


@dataclass(frozen=True, slots=True)
class Back:
    """It answers again, after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cursor:
    """The event that was shown last; empty before the first one."""

    event: str = ""
    at: datetime | None = None

    def after(self, event: JobEvent) -> Cursor:
        """The cursor once an event was shown."""
        return replace(self, event=event.id, at=event.created_at or self.at)


Update = Job | JobEvent | Lost | Back


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How often a server is asked, and for how long it may be silent.

    Args:
        interval: Seconds between two looks.
        give_up: Seconds without any answer after which it is given up.
    """

    interval: float = 2.0
    give_up: float = 3600.0


def follow(
    service: FineTuning,
    job_id: str,
    cursor: Cursor,
    patience: Patience,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Update]:
    """
    What happens to a job, until it has ended: new events, then the job itself at every look.

    A status that nobody knows is passed on like any other, and is no end.

    Args:
        service: The server.
        job_id: The job.
        cursor: The event to go on after.
        patience: How often, and how long.
        sleep: Waits so many seconds.
        clock: Seconds that only grow.

    Raises:
        TrainingError: There is no such job, the server refuses, or it was silent for too long.
    """
    wait, lost_at = patience.interval, None
    while True:
        try:
            # The job first: events that come with its end are then among those that are read.
            job = service.job(job_id)
            events = new_events(service, job_id, cursor)
        except (NoAnswerError, RefusedError) as fault:
            if isinstance(fault, RefusedError) and not fault.will_pass:
                raise
            if lost_at is None:
                lost_at = clock()
                yield Lost(f"{service.base_url}: {fault.problem}")
            elif clock() - lost_at > patience.give_up:
                raise _given_up(job_id, fault, patience) from fault
            sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
            continue
        if lost_at is not None:
            yield Back(clock() - lost_at)
            wait, lost_at = patience.interval, None
        for event in events:
            cursor = cursor.after(event)
            yield event
        yield job
        if job.has_ended:
            return
        sleep(patience.interval)


def new_events(service: FineTuning, job_id: str, cursor: Cursor) -> list[JobEvent]:
    """
    The events after a cursor, the oldest first.

    Where the server no longer knows the event of the cursor, those that are younger count as new.

    Raises:
        TrainingError: There is no such job, or no usable answer came.
    """
    found: dict[str, JobEvent] = {}
    for event in service.events(job_id):
        if event.id == cursor.event:
            return list(found.values())[::-1]
        found.setdefault(event.id, event)
    since = cursor.at
    return [event for event in found.values() if since is None or not event.created_at or event.created_at > since][
        ::-1
    ]


def _given_up(job_id: str, fault: TrainingError, patience: Patience) -> TrainingError:
    return TrainingError(
        f"no answer for {patience.give_up:g} s: {fault.problem}",
        fault.where,
        f"the job may well go on; pytest-finetune train watch {job_id} shows it once the server is back",
    )
