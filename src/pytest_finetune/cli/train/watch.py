"""`pytest-finetune train watch`: a job followed to its end, and what it made put into the registry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli import INTERRUPTED
from pytest_finetune.cli.output import print_lines
from pytest_finetune.cli.registry.options import DEFAULT, who_option
from pytest_finetune.cli.train.options import (
    base_url_option,
    give_up_option,
    interval_option,
    job_argument,
    job_store,
    json_lines_option,
    no_registry_option,
    registry_name_option,
    service,
    version_option,
)
from pytest_finetune.cli.train.telling import JsonTelling, Telling
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.training.candidate import add_candidate, entry_of
from pytest_finetune.lifecycle.training.curves import Pace, last_figures
from pytest_finetune.lifecycle.training.faults import RefusedError
from pytest_finetune.lifecycle.training.job import NONCE, SUCCEEDED, Job, JobEvent
from pytest_finetune.lifecycle.training.record import CheckpointRecord, JobRecord, new_nonce
from pytest_finetune.lifecycle.training.watching import Cursor, Patience, follow
from pytest_finetune.reports.training import job_json, job_lines

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.candidate import Added
    from pytest_finetune.lifecycle.training.job import JobCheckpoint
    from pytest_finetune.lifecycle.training.record import JobStore
    from pytest_finetune.lifecycle.training.service import FineTuning


@dataclass(frozen=True, slots=True)
class Destination:
    """
    Where a model goes.

    Args:
        registry: The registry; empty for what the record says, or the default.
        version: Its name there; empty likewise.
        who: Who adds it.
        is_wanted: Whether it goes anywhere.
    """

    registry: str
    version: str
    who: str
    is_wanted: bool = True

    def add(self, api: FineTuning, job: Job, record: JobRecord) -> tuple[str, Added]:
        """Put a model into the registry, where it is not there yet; the registry's place and its version."""
        backend = open_registry(self.registry or record.registry or DEFAULT)
        entry = entry_of(job, record, last_figures(api, job, record.checkpoints))
        version = self.version or record.version
        return backend.location, add_candidate(backend, entry, version=version, who=self.who, now=datetime.now(UTC))


@click.command("watch")
@job_argument
@registry_name_option
@version_option
@no_registry_option
@who_option
@interval_option
@give_up_option
@json_lines_option
@base_url_option
def command(
    job: str,
    *,
    base_url: str | None,
    registry: str | None,
    version: str | None,
    no_registry: bool,
    who: str,
    interval: float,
    give_up: float,
    as_json: bool,
) -> None:
    """Follow JOB to its end and add its model to the registry.

    Every event is shown once, however often the watcher is stopped and started; a server that does not answer is asked
    again. Watching a job that has ended adds what is missing, and nothing twice. Ctrl-C ends the watching only.

    \b
    Exit codes:
      0    the job succeeded; its model is in the registry, or not wanted there
      1    the job failed, or was cancelled
      2    it could not be followed, or its model could not be added
      130  interrupted; the job goes on
    """  # noqa: D301 - click takes the backspace itself for "do not fold"
    api, store = service(base_url, job), job_store()
    destination = Destination(registry or "", version or "", who, not no_registry)
    record = store.of_job(job, api.base_url) or adopted(api, store, job)
    raise click.exceptions.Exit(watch(api, store, record, destination, Patience(interval, give_up), as_json=as_json))


def adopted(api: FineTuning, store: JobStore, job_id: str) -> JobRecord:
    """A record for a job that was begun elsewhere; the server says whether there is one."""
    job = api.job(job_id)
    for record in store.records():
        if record.is_pending and record.nonce == job.metadata.get(NONCE):
            return store.update(record, job_id=job.id)
    return JobRecord(nonce=new_nonce(), created_at=datetime.now(UTC), base_url=api.base_url, job_id=job.id)


def watch(
    api: FineTuning,
    store: JobStore,
    record: JobRecord,
    destination: Destination,
    patience: Patience,
    *,
    as_json: bool,
) -> int:
    """Follow the job of a record to its end and tell it; the exit code."""
    telling = JsonTelling(Pace(), api.base_url) if as_json else Telling(Pace())
    try:
        record, job = _followed(api, store, record, patience, telling)
    except KeyboardInterrupt:
        telling.wipe()
        click.echo(
            f"stopped watching; the job goes on. Again: pytest-finetune train watch {record.job_id}; "
            f"end it: pytest-finetune train cancel {record.job_id}",
            err=True,
        )
        return INTERRUPTED
    telling.wipe()
    return _concluded(api, record, job, destination, as_json=as_json, telling=telling)


def _followed(
    api: FineTuning, store: JobStore, record: JobRecord, patience: Patience, telling: Telling
) -> tuple[JobRecord, Job]:
    cursor = Cursor(record.last_event, record.last_event_at)
    job: Job | None = None
    for update in follow(api, record.job_id, cursor, patience):
        if isinstance(update, JobEvent):
            # Noted before it is shown: whoever is killed in between loses one line, and never reads one twice.
            cursor = cursor.after(update)
            record = store.update(record, last_event=cursor.event, last_event_at=cursor.at)
        telling.see(update)
        if isinstance(update, Job):
            job = update
            record = store.update(record, status=job.status, fine_tuned_model=job.fine_tuned_model)
    if job is None:
        raise ValueError("following ended without a job")
    left = [CheckpointRecord(model=c.model, step=c.step, metrics=dict(c.metrics)) for c in _checkpoints(api, job)]
    return store.update(record, checkpoints=tuple(left)), job


def _checkpoints(api: FineTuning, job: Job) -> list[JobCheckpoint]:
    """What a job left behind; a server that has no checkpoints refuses the question."""
    try:
        return api.checkpoints(job.id)
    except RefusedError:
        return []


def _concluded(
    api: FineTuning, record: JobRecord, job: Job, destination: Destination, *, as_json: bool, telling: Telling
) -> int:
    if not as_json:
        print_lines(job_lines(job, api.base_url))
    added = destination.add(api, job, record) if job.status == SUCCEEDED and destination.is_wanted else None
    if isinstance(telling, JsonTelling):
        place = {"registry": added[0], "version": added[1].version, "is_new": added[1].is_new} if added else None
        telling.write("end", {"job": job_json(job, api.base_url), "candidate": place})
    elif added:
        location, version = added[0], added[1].version
        how = "new -> candidate" if added[1].is_new else "was added already"
        click.echo(f"{location}: {version}: {how}")
        click.echo(f"judge it: pytest --model=registry:{version}")
    return 0 if job.status == SUCCEEDED else 1
