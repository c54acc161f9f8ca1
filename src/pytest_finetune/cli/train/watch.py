"""`pytest-finetune train watch`: follow a job to its end and add its model to the registry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pytest_finetune.cli import INTERRUPTED
from pytest_finetune.cli.lazy_group import exit_codes
from pytest_finetune.cli.output import print_lines
from pytest_finetune.cli.registry.options import who_option
from pytest_finetune.cli.registry_option import DEFAULT
from pytest_finetune.cli.train.job_output import JobOutput, JsonJobOutput
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
    training_prices,
    version_option,
)
from pytest_finetune.lifecycle.registry import open_registry
from pytest_finetune.lifecycle.training.api_errors import RefusedError
from pytest_finetune.lifecycle.training.candidate import add_candidate, entry_of
from pytest_finetune.lifecycle.training.curves import Pace, last_figures
from pytest_finetune.lifecycle.training.job import NONCE, SUCCEEDED, FineTuningEvent, FineTuningJob
from pytest_finetune.lifecycle.training.job_records import CheckpointRecord, JobRecord, new_nonce
from pytest_finetune.lifecycle.training.polling import Cursor, PollingPolicy, follow
from pytest_finetune.reports.training import job_json, job_lines

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.candidate import AddedVersion
    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint
    from pytest_finetune.lifecycle.training.job_records import JobStore
    from pytest_finetune.lifecycle.training.money import TrainingPrices
    from pytest_finetune.lifecycle.training.service import FineTuning


@dataclass(frozen=True, slots=True)
class RegistryDestination:
    """
    Where to add the model.

    Args:
        registry: Path or URI; empty for the one in the job's record, or the default.
        version: Version name; empty for the one in the job's record, or the next free one.
        who: Author of the addition, for the history.
        is_wanted: False to leave the registry alone.
    """

    registry: str
    version: str
    who: str
    is_wanted: bool = True

    def add(
        self, api: FineTuning, job: FineTuningJob, record: JobRecord, prices: TrainingPrices
    ) -> tuple[str, AddedVersion]:
        """Add the model unless the registry has it; returns the registry's location and the version."""
        backend = open_registry(self.registry or record.registry or DEFAULT)
        entry = entry_of(job, record, last_figures(api, job, record.checkpoints), prices=prices.configured)
        version = self.version or record.version
        return backend.location, add_candidate(backend, entry, version=version, who=self.who, now=datetime.now(UTC))


@exit_codes(
    "0    the job succeeded; its model is in the registry, unless --no-registry",
    "1    the job failed or was cancelled",
    "2    error: it could not be followed, or its model could not be added",
    "130  interrupted; the job keeps running",
)
@click.command("watch")
@job_argument
@registry_name_option("as given to `start`, else ")
@version_option("as given to `start`, else ")
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

    The model becomes a candidate. Ctrl-C stops watching; the job keeps running. Watching again shows only new events,
    and adds the model if that is missing. An unreachable server is polled until --give-up.
    """
    api, store = service(base_url, job), job_store()
    # Read first: following the job may take hours, and a wrong line must stop the command at once.
    prices = training_prices(api.base_url)
    destination = RegistryDestination(registry or "", version or "", who, is_wanted=not no_registry)
    record = store.of_job(job, api.base_url) or record_of(api, store, job)
    polling = PollingPolicy(interval, give_up)
    raise click.exceptions.Exit(watch(api, store, record, destination, polling, prices=prices, as_json=as_json))


def record_of(api: FineTuning, store: JobStore, job_id: str) -> JobRecord:
    """
    A record for a job that has none here under its id.

    Raises:
        TrainingError: The server has no such job, or did not answer.
    """
    job = api.job(job_id)
    for record in store.records():
        if record.is_pending and record.nonce == job.metadata.get(NONCE):
            return store.update(record, job_id=job.id)
    return JobRecord(nonce=new_nonce(), created_at=datetime.now(UTC), base_url=api.base_url, job_id=job.id)


def watch(
    api: FineTuning,
    store: JobStore,
    record: JobRecord,
    destination: RegistryDestination,
    policy: PollingPolicy,
    *,
    prices: TrainingPrices,
    as_json: bool,
) -> int:
    """Follow the job of a record to its end and print its progress; returns the exit code."""
    output = JsonJobOutput(Pace(), prices) if as_json else JobOutput(Pace())
    try:
        record, job = _follow(api, store, record, policy, output)
    except KeyboardInterrupt:
        output.clear_bar()
        click.echo(
            f"stopped watching; the job keeps running. To watch again: pytest-finetune train watch {record.job_id}; "
            f"to cancel it: pytest-finetune train cancel {record.job_id}",
            err=True,
        )
        return INTERRUPTED
    output.clear_bar()
    return _finish(api, record, job, destination, prices, as_json=as_json, output=output)


def _follow(
    api: FineTuning, store: JobStore, record: JobRecord, policy: PollingPolicy, output: JobOutput
) -> tuple[JobRecord, FineTuningJob]:
    cursor = Cursor(record.last_event, record.last_event_at)
    job: FineTuningJob | None = None
    for update in follow(api, record.job_id, cursor, policy):
        if isinstance(update, FineTuningEvent):
            # Saved before it is shown: a watcher killed in between loses one line, but no line is ever shown twice.
            cursor = cursor.after(update)
            record = store.update(record, last_event=cursor.event, last_event_at=cursor.at)
        output.show(update)
        if isinstance(update, FineTuningJob):
            job = update
            record = store.update(record, status=job.status, fine_tuned_model=job.fine_tuned_model)
    if job is None:
        raise ValueError("following ended without a job")
    checkpoints = [
        CheckpointRecord(model=c.model, step=c.step, metrics=dict(c.metrics)) for c in _checkpoints(api, job)
    ]
    return store.update(record, checkpoints=tuple(checkpoints)), job


def _checkpoints(api: FineTuning, job: FineTuningJob) -> list[FineTuningCheckpoint]:
    """The job's checkpoints; a server without checkpoints refuses the request."""
    try:
        return api.checkpoints(job.id)
    except RefusedError:
        return []


def _finish(
    api: FineTuning,
    record: JobRecord,
    job: FineTuningJob,
    destination: RegistryDestination,
    prices: TrainingPrices,
    *,
    as_json: bool,
    output: JobOutput,
) -> int:
    if not as_json:
        print_lines(job_lines(job, prices))
    # Last, because if this fails the same command can be repeated.
    added = destination.add(api, job, record, prices) if job.status == SUCCEEDED and destination.is_wanted else None
    if isinstance(output, JsonJobOutput):
        place = {"registry": added[0], "version": added[1].version, "is_new": added[1].is_new} if added else None
        output.write("end", {"job": job_json(job, prices), "candidate": place})
    elif added:
        location, version = added[0], added[1].version
        how = "new -> candidate" if added[1].is_new else "already in the registry"
        click.echo(f"{location}: {version}: {how}")
        click.echo(f"to evaluate it: pytest --model=registry:{version}")
    return 0 if job.status == SUCCEEDED else 1
