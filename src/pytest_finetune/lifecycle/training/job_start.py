"""
Idempotent job creation: the same request never creates, or costs, two jobs, whatever fails in between.

A nonce is written to disk before the job is created and sent in the job's metadata. If the
server does not answer, and at the next start of the same request, its jobs are searched for the nonce before creation
is retried.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job import CANCELLED, FAILED, NONCE, TRAINING_SHA256, VALIDATION_SHA256
from pytest_finetune.lifecycle.training.job_records import REFUSED, JobRecord, TrainingRequest, new_nonce
from pytest_finetune.lifecycle.training.job_search import find_job, find_job_after_delays, jobs_with_nonce
from pytest_finetune.lifecycle.training.upload import upload_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.lifecycle.training.job import FineTuningJob
    from pytest_finetune.lifecycle.training.job_records import JobStore
    from pytest_finetune.lifecycle.training.service import FineTuning

TRIES = 3
"""Attempts to create a job; before each retry the job of the previous attempt is searched for."""

RATE_WAITS = (20.0, 60.0)
"""Seconds before each retry of a creation that was refused by a rate limit, which mostly counts by the minute."""

CREATED, FOUND, ALREADY = "created", "found", "already"
_GONE = 404


@dataclass(frozen=True, slots=True)
class StartedJob:
    """
    The job of a training request.

    Args:
        record: Its record, with the job's id.
        job: The job as the server describes it.
        how: `created`: now; `found`: by an attempt that got no answer; `already`: by an earlier start.
        cancelled: Ids of further jobs with the same nonce, which were cancelled.
    """

    record: JobRecord
    job: FineTuningJob
    how: str
    cancelled: tuple[str, ...] = ()


class JobStarter:
    """
    Starts trainings on one server.

    Args:
        service: The server.
        store: Where records are kept.
        notify: Called with a message for the user.
        progress: Called with the bytes of a file read so far and its size.
    """

    def __init__(
        self,
        service: FineTuning,
        store: JobStore,
        *,
        notify: Callable[[str], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._service, self._store = service, store
        self._notify, self._progress = notify, progress

    def start(
        self, wanted: TrainingRequest, *, registry: str = "", version: str = "", again: bool = False
    ) -> StartedJob:
        """
        The job of a request, created if there is none yet.

        Args:
            wanted: The request; its files are uploaded if the server does not have them.
            registry: Where the model will be added.
            version: Its version name there.
            again: Create another job even if one of the same request is running or has succeeded.

        Raises:
            TrainingError: The job could not be created, or it is unknown whether it was; the next start finds out.
        """
        with self._store.locked(wanted.sha256):
            records = self._store.records()
            of_request = [record for record in records if record.wanted and record.wanted.sha256 == wanted.sha256]
            destination = {name: value for name, value in (("registry", registry), ("version", version)) if value}
            for record in of_request:
                if record.is_pending and (job := find_job(self._service, record)):
                    return self._started(self._store.update(record, **destination), job, FOUND)
            if not again and (earlier := self._reusable(of_request)):
                return replace(earlier, record=self._store.update(earlier.record, **destination))
            pending = next((record for record in of_request if record.is_pending), None)
            record = pending or JobRecord(nonce=new_nonce(), created_at=datetime.now(UTC), base_url=wanted.base_url)
            record = self._store.update(record, wanted=wanted, **destination)
            return self._create(self._with_files(record, wanted, records))

    def _reusable(self, of_request: list[JobRecord]) -> StartedJob | None:
        """The newest job of the request that is running or has succeeded."""
        for record in of_request:
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
                return StartedJob(seen, job, ALREADY)
        return None

    def _with_files(self, record: JobRecord, wanted: TrainingRequest, earlier: list[JobRecord]) -> JobRecord:
        """Upload the files; the record is written after each, so that an interrupted start keeps them."""
        for role in ("training", "validation"):
            file = getattr(wanted, role)
            if file is None:
                continue
            sent = upload_file(
                self._service,
                file,
                earlier,
                notify=self._notify,
                progress=self._progress,
            )
            wanted = wanted.model_copy(update={role: sent})
            record = self._store.update(record, wanted=wanted)
        return record

    def _create(self, record: JobRecord) -> StartedJob:
        unanswered = False
        last: TrainingError
        for tried in range(1, TRIES + 1):
            try:
                job = self._service.create(_body(record), nonce=record.nonce)
            except RefusedError as fault:
                if not fault.is_temporary or tried == TRIES:
                    # After an attempt without an answer, a job may exist: the record stays pending.
                    if not unanswered:
                        self._store.update(record, status=REFUSED)
                    raise
                # Nothing was created, so there is no job to search for.
                self._notify(f"the server limits the rate ({fault.problem}); retrying in {RATE_WAITS[tried - 1]:g} s")
                time.sleep(RATE_WAITS[tried - 1])
                last = fault
            except NoAnswerError as fault:
                unanswered = True
                self._notify(f"creating the job got no answer ({fault.problem}); searching for the job before retrying")
                if found := find_job_after_delays(self._service, record):
                    return self._started(record, found, FOUND)
                last = fault
            else:
                started = self._started(record, job, CREATED)
                return self._without_duplicates(started) if unanswered else started
        raise TrainingError(
            f"the server did not create the job in {TRIES} attempts: {last.problem}",
            last.where,
            "no job was found; repeating the command searches again before it creates one",
        )

    def _started(self, record: JobRecord, job: FineTuningJob, how: str) -> StartedJob:
        return StartedJob(self._store.update(record, job_id=job.id, status=job.status), job, how)

    def _without_duplicates(self, started: StartedJob) -> StartedJob:
        """After a retry: if the earlier attempt created a job after all, keep the first job and cancel the others."""
        found = jobs_with_nonce(self._service, started.record) or [started.job]
        cancelled = [extra.id for extra in found[1:] if self._cancel(extra)]
        first = self._started(started.record, found[0], CREATED)
        return StartedJob(first.record, first.job, CREATED, tuple(cancelled))

    def _cancel(self, extra: FineTuningJob) -> bool:
        try:
            self._service.act(extra.id, "cancel")
        except (RefusedError, NoAnswerError) as fault:
            # The first job exists and must be reported; this one may have ended by itself.
            self._notify(
                f"{extra.id} is a duplicate of the job and could not be cancelled: {fault.problem}; "
                f"cancel it with: pytest-finetune train cancel {extra.id}"
            )
            return False
        self._notify(f"cancelled {extra.id}, a duplicate of the job")
        return True


def _body(record: JobRecord) -> dict[str, Any]:
    """The body of the creation request."""
    wanted = record.wanted
    if wanted is None:
        raise ValueError("a record without a request cannot create a job")
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
