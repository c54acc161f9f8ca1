"""
One wish, one job: whatever breaks between here and the server, the same wish is never paid for twice.

A nonce is on the disk before the server is asked and travels in the job's metadata. After a creation that nobody
answered, and at the next start of the same wish, the server's jobs are looked through for it before any other try.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.faults import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job import CANCELLED, FAILED, NONCE, TRAINING_SHA256, VALIDATION_SHA256
from pytest_finetune.lifecycle.training.record import REFUSED, JobRecord, Wanted, new_nonce
from pytest_finetune.lifecycle.training.upload import uploaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.lifecycle.training.job import Job
    from pytest_finetune.lifecycle.training.record import JobStore
    from pytest_finetune.lifecycle.training.service import FineTuning

TRIES = 3
"""Most creations that are asked for, each after a look for the job of the one before."""

LOOKS = (1.0, 5.0)
"""Seconds before each look: a server may still be at work on a request whose line is dead."""

CLOCKS_APART = timedelta(days=1)
"""A job this much older than its record cannot be its job, however wrong a clock is."""

CREATED, FOUND, ALREADY = "created", "found", "already"
_GONE = 404


@dataclass(frozen=True, slots=True)
class Started:
    """
    A job that will be, or has been, made for a wish.

    Args:
        record: With the job's id.
        job: As the server describes it.
        how: `created` now; `found`, made by a try that nobody heard back from; `already`, made by an earlier start.
        cancelled: Ids of further jobs of the same nonce, which were cancelled.
    """

    record: JobRecord
    job: Job
    how: str
    cancelled: tuple[str, ...] = ()


class Starter:
    """
    Starts trainings on one server.

    Args:
        service: The server.
        store: Where records are kept.
        tell: Called with what happens, a sentence each.
        progress: Called with the bytes of a file that are read, and all there are.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        service: FineTuning,
        store: JobStore,
        *,
        tell: Callable[[str], None],
        progress: Callable[[int, int], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service, self._store = service, store
        self._tell, self._progress, self._sleep = tell, progress, sleep

    def start(self, wanted: Wanted, *, registry: str = "", version: str = "", again: bool = False) -> Started:
        """
        The job of a wish, made if there is none yet.

        Args:
            wanted: What is to be trained; its files are sent where they have to be.
            registry: Where the model will go.
            version: Its name there.
            again: Make another job though one of the same wish runs or has succeeded.

        Raises:
            TrainingError: It could not be started, or it cannot be known whether it was; the next start finds out.
        """
        with self._store.locked(wanted.sha256):
            records = self._store.records()
            mine = [record for record in records if record.wanted and record.wanted.sha256 == wanted.sha256]
            goes = {name: value for name, value in (("registry", registry), ("version", version)) if value}
            for record in mine:
                if record.is_pending and (job := self._look_up(record)):
                    return self._settled(self._store.update(record, **goes), job, FOUND)
            if not again and (earlier := self._still_good(mine)):
                return replace(earlier, record=self._store.update(earlier.record, **goes))
            pending = next((record for record in mine if record.is_pending), None)
            record = pending or JobRecord(nonce=new_nonce(), created_at=datetime.now(UTC), base_url=wanted.base_url)
            record = self._store.update(record, wanted=wanted, **goes)
            return self._create(self._with_files(record, wanted, records))

    def _still_good(self, mine: list[JobRecord]) -> Started | None:
        """The newest job of the wish that runs, or has succeeded."""
        for record in mine:
            if not record.job_id or record.status in (FAILED, CANCELLED):
                continue
            try:
                job = self._service.job(record.job_id)
            except RefusedError as fault:
                if fault.status != _GONE:
                    raise
                continue
            seen = self._store.update(record, status=job.status)
            if job.status not in (FAILED, CANCELLED):
                return Started(seen, job, ALREADY)
        return None

    def _with_files(self, record: JobRecord, wanted: Wanted, earlier: list[JobRecord]) -> JobRecord:
        """The record once all its files are on the server; each is noted as soon as it is."""
        for role in ("training", "validation"):
            file = getattr(wanted, role)
            if file is None:
                continue
            sent = uploaded(
                self._service,
                file,
                earlier,
                tell=self._tell,
                sleep=self._sleep,
                progress=self._progress,
            )
            wanted = wanted.model_copy(update={role: sent})
            record = self._store.update(record, wanted=wanted)
        return record

    def _create(self, record: JobRecord) -> Started:
        for tried in range(1, TRIES + 1):
            try:
                job = self._service.create(_body(record), nonce=record.nonce)
            except RefusedError:
                self._store.update(record, status=REFUSED)
                raise
            except NoAnswerError as fault:
                self._tell(f"the creation was not answered ({fault.problem}): looking for the job before any other try")
                if found := self._looked_for(record):
                    return self._settled(record, found, FOUND)
                last = fault
            else:
                started = self._settled(record, job, CREATED)
                return self._alone(started) if tried > 1 else started
        raise TrainingError(
            f"the server did not make the job in {TRIES} tries: {last.problem}",
            last.where,
            "nothing runs as far as can be seen; the same command looks once more before it tries again",
        )

    def _looked_for(self, record: JobRecord) -> Job | None:
        """The job of a creation that was not answered, after a wait or two; None where there is none."""
        for wait in LOOKS:
            self._sleep(wait)
            if job := self._look_up(record):
                return job
        return None

    def _look_up(self, record: JobRecord) -> Job | None:
        """
        The first job that carries the nonce; None where there is none.

        Raises:
            TrainingError: The jobs cannot be listed, or some job may be this one and nothing tells.
        """
        found = self._carrying(record)
        return min(found, key=_age) if found else None

    def _carrying(self, record: JobRecord) -> list[Job]:
        oldest, found = record.created_at - CLOCKS_APART, []
        file_id = record.wanted.training.file_id if record.wanted else ""
        try:
            for job in self._service.jobs():
                if job.metadata.get(NONCE) == record.nonce:
                    found.append(job)
                elif file_id and job.training_file == file_id and NONCE not in job.metadata and _is_since(job, record):
                    raise _cannot_tell(job, record)
                elif job.created_at and job.created_at < oldest:
                    break
        except (NoAnswerError, RefusedError) as fault:
            raise TrainingError(
                f"whether the job was made cannot be known: the look for it failed too ({fault.problem})",
                fault.where,
                "nothing more was sent; the same command looks for the job before it tries again",
            ) from fault
        return found

    def _settled(self, record: JobRecord, job: Job, how: str) -> Started:
        return Started(self._store.update(record, job_id=job.id, status=job.status), job, how)

    def _alone(self, started: Started) -> Started:
        """After a second try: where the first one came to a job after all, the first job stays and the rest goes."""
        found = sorted(self._carrying(started.record), key=_age) or [started.job]
        cancelled = [extra.id for extra in found[1:] if self._cancel(extra)]
        settled = self._settled(started.record, found[0], CREATED)
        return Started(settled.record, settled.job, CREATED, tuple(cancelled))

    def _cancel(self, extra: Job) -> bool:
        try:
            self._service.act(extra.id, "cancel")
        except (RefusedError, NoAnswerError) as fault:
            # The first job is there and must be told; this one may have ended by itself.
            self._tell(
                f"{extra.id} is the same job made twice, and could not be cancelled: {fault.problem}; "
                f"see to it: pytest-finetune train cancel {extra.id}"
            )
            return False
        self._tell(f"{extra.id} was the same job made twice: it is cancelled")
        return True


def _body(record: JobRecord) -> dict[str, Any]:
    """What the server is asked for."""
    wanted = record.wanted
    if wanted is None:
        raise ValueError("a record of a job that was begun elsewhere cannot begin one")
    metadata = {NONCE: record.nonce, TRAINING_SHA256: wanted.training.sha256}
    body: dict[str, Any] = {
        "model": wanted.model,
        "training_file": wanted.training.file_id,
        "method": {"type": "supervised", "supervised": {"hyperparameters": wanted.hyperparameters}},
        "metadata": metadata,
    }
    if wanted.validation:
        body["validation_file"] = wanted.validation.file_id
        metadata[VALIDATION_SHA256] = wanted.validation.sha256
    if wanted.suffix:
        body["suffix"] = wanted.suffix
    if wanted.seed is not None:
        body["seed"] = wanted.seed
    return body


def _age(job: Job) -> tuple[float, str]:
    return (job.created_at.timestamp() if job.created_at else 0.0), job.id


def _is_since(job: Job, record: JobRecord) -> bool:
    """The job may be younger than the record; clocks are taken to be right to the hour."""
    return job.created_at is None or job.created_at >= record.created_at - timedelta(hours=1)


def _cannot_tell(job: Job, record: JobRecord) -> TrainingError:
    return TrainingError(
        f"{job.id} trains on the very file that was uploaded, and its metadata tells no nonce",
        "GET /fine_tuning/jobs",
        f"the server seems to keep no metadata. If it is the job you want: pytest-finetune train watch {job.id}; "
        f"if not, delete {record.nonce}.json in .finetune/jobs and start again",
    )
