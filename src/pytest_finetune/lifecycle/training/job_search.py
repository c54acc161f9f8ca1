"""Finds the job of a record by the nonce in its metadata, after a creation that got no answer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.job import NONCE

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.training.job import FineTuningJob
    from pytest_finetune.lifecycle.training.job_records import JobRecord
    from pytest_finetune.lifecycle.training.service import FineTuning

SEARCH_DELAYS = (1.0, 5.0)
"""Seconds before each search: the server may still be working on a request whose connection is gone."""

CLOCK_TOLERANCE = timedelta(days=1)
"""A job this much older than its record cannot belong to it, even if the clocks differ; the search stops there."""


def find_job_after_delays(service: FineTuning, record: JobRecord) -> FineTuningJob | None:
    """Search for the job of an unanswered creation, after each of `SEARCH_DELAYS`; None if there is none."""
    for wait in SEARCH_DELAYS:
        time.sleep(wait)
        if job := find_job(service, record):
            return job
    return None


def find_job(service: FineTuning, record: JobRecord) -> FineTuningJob | None:
    """
    The oldest job with the nonce of a record; None if there is none.

    Raises:
        TrainingError: The jobs cannot be listed, or a job without metadata may be this one.
    """
    return next(iter(jobs_with_nonce(service, record)), None)


def jobs_with_nonce(service: FineTuning, record: JobRecord) -> list[FineTuningJob]:
    """
    All jobs with the nonce of a record, oldest first.

    Raises:
        TrainingError: The jobs cannot be listed, or a job without metadata may be this one.
    """
    oldest, found = record.created_at - CLOCK_TOLERANCE, []
    file_id = record.wanted.training.file_id if record.wanted else ""
    try:
        for job in service.jobs():
            if job.metadata.get(NONCE) == record.nonce:
                found.append(job)
            elif file_id and job.training_file == file_id and NONCE not in job.metadata and _is_since(job, record):
                raise _cannot_tell(job, record)
            elif job.created_at and job.created_at < oldest:
                break
    except (NoAnswerError, RefusedError) as fault:
        raise TrainingError(
            f"cannot tell whether the job was created: the search for it failed too ({fault.problem})",
            fault.where,
            "nothing else was sent; repeating the command searches for the job before it creates one",
        ) from fault
    return sorted(found, key=_age)


def _age(job: FineTuningJob) -> tuple[float, str]:
    return (job.created_at.timestamp() if job.created_at else 0.0), job.id


def _is_since(job: FineTuningJob, record: JobRecord) -> bool:
    """Whether the job may have been created after the record; clocks may differ by up to an hour."""
    return job.created_at is None or job.created_at >= record.created_at - timedelta(hours=1)


def _cannot_tell(job: FineTuningJob, record: JobRecord) -> TrainingError:
    return TrainingError(
        f"{job.id} uses the uploaded training file, but its metadata has no nonce",
        "GET /fine_tuning/jobs",
        f"the server does not seem to store metadata. If it is your job: pytest-finetune train watch {job.id}; "
        f"if not, delete {record.nonce}.json in .finetune/jobs and start again",
    )
