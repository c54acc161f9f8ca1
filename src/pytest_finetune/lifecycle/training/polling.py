"""Follow a job to its end, across lost connections and server restarts; every event once and in order."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job import FineTuningEvent, FineTuningJob

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from pytest_finetune.lifecycle.training.service import FineTuning

UNNAMED_LIMIT = 600.0
"""Seconds that a succeeded job may lack the id of its model."""

LONGEST_WAIT = 60.0
"""Seconds. While the server does not answer, the wait between polls doubles from the interval up to this."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The server does not answer; polling continues."""

    problem: str


@dataclass(frozen=True, slots=True)
class ConnectionRestored:
    """The server answers again, after this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position in a job's events: the last one seen, or empty before the first."""

    event: str = ""
    at: datetime | None = None

    def after(self, event: FineTuningEvent) -> Cursor:
        """The cursor after this event."""
        return replace(self, event=event.id, at=event.created_at or self.at)


Update = FineTuningJob | FineTuningEvent | ConnectionLost | ConnectionRestored


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """
    How often a job is polled, and how long the server may be unreachable.

    Args:
        interval: Seconds between two polls.
        give_up: Seconds without an answer after which polling ends with an error.
    """

    interval: float = 2.0
    give_up: float = 3600.0


def follow(
    service: FineTuning,
    job_id: str,
    cursor: Cursor,
    policy: PollingPolicy,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Update]:
    """
    The updates of a job until it has ended: at every poll its new events, then the job itself.

    A job with an unknown status counts as running.

    Args:
        service: The server.
        job_id: The job.
        cursor: The last event already seen.
        policy: Polling interval and time limit.
        sleep: Waits for a number of seconds.
        clock: Monotonic seconds.

    Raises:
        TrainingError: There is no such job, the server refuses, it did not answer for too long, or the job has
            succeeded without a model.
    """
    nameless_since: float | None = None
    while True:
        job, events = yield from _poll(service, job_id, cursor, policy, sleep=sleep, clock=clock)
        for event in events:
            cursor = cursor.after(event)
            yield event
        yield job
        if job.has_ended:
            return
        nameless_since = _unnamed_since(job, nameless_since, clock())
        sleep(policy.interval)


def _poll(
    service: FineTuning,
    job_id: str,
    cursor: Cursor,
    policy: PollingPolicy,
    *,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Generator[Update, None, tuple[FineTuningJob, list[FineTuningEvent]]]:
    """The job and its new events, once the server answers; also yields when the connection is lost or restored."""
    wait, lost_at = policy.interval, None
    while True:
        try:
            # The job is read before its events: if it has ended, its last events are certainly among those read.
            job = service.job(job_id)
            events = new_events(service, job_id, cursor)
        except (NoAnswerError, RefusedError) as fault:
            if isinstance(fault, RefusedError) and not fault.is_temporary:
                raise
            if lost_at is None:
                lost_at = clock()
                yield ConnectionLost(f"{service.base_url}: {fault.problem}")
            elif clock() - lost_at > policy.give_up:
                raise _given_up(job_id, fault, policy) from fault
            sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
        else:
            if lost_at is not None:
                yield ConnectionRestored(clock() - lost_at)
            return job, events


def new_events(service: FineTuning, job_id: str, cursor: Cursor) -> list[FineTuningEvent]:
    """
    The events after a cursor, oldest first.

    If the server no longer has the cursor's event, for example after a restart, events with a later time are new.

    Raises:
        TrainingError: There is no such job, or the server did not answer with a list of events.
    """
    found: dict[str, FineTuningEvent] = {}
    for event in service.events(job_id):
        if event.id == cursor.event:
            return list(found.values())[::-1]
        found.setdefault(event.id, event)
    since = cursor.at
    new = [event for event in found.values() if since is None or not event.created_at or event.created_at > since]
    return new[::-1]


def _unnamed_since(job: FineTuningJob, since: float | None, now: float) -> float | None:
    """Since when a job has been without the id of its model although it succeeded; an error after `UNNAMED_LIMIT`."""
    if not job.awaits_its_model:
        return None
    if since is not None and now - since > UNNAMED_LIMIT:
        raise TrainingError(
            f"the job has succeeded, but for {UNNAMED_LIMIT:g} s the server has not sent the id of its model",
            f"GET /fine_tuning/jobs/{job.id}",
            f"look for the model at the server, or later: pytest-finetune train watch {job.id}",
        )
    return now if since is None else since


def _given_up(job_id: str, fault: TrainingError, policy: PollingPolicy) -> TrainingError:
    return TrainingError(
        f"no answer for {policy.give_up:g} s: {fault.problem}",
        fault.where,
        f"the job may still be running; once the server is back: pytest-finetune train watch {job_id}",
    )
