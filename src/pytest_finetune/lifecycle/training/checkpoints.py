"""The models that a job has left behind: its checkpoints, and the one at the end under the name that it goes by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.training.curves import step_of
from pytest_finetune.lifecycle.training.job import JobCheckpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.training.job import Job
    from pytest_finetune.lifecycle.training.service import FineTuning


def models_of(service: FineTuning, job: Job) -> list[JobCheckpoint]:
    """
    The models of a job, the first step first.

    Raises:
        TrainingError: The server does not tell them.
    """
    checkpoints = service.checkpoints(job.id)
    steps = (step.step for event in service.events(job.id) if (step := step_of(event)))
    return with_the_last(job, checkpoints, next(steps, None))


def with_the_last(job: Job, checkpoints: Sequence[JobCheckpoint], last_step: int | None) -> list[JobCheckpoint]:
    """
    The checkpoints, and the model at the end.

    A checkpoint of the last step holds the same weights as that model, and is listed under the model's name: nobody
    needs to judge the two.

    Args:
        job: The job.
        checkpoints: In the order of their steps.
        last_step: The last one that the job reported; None where it reported none.
    """
    found = list(checkpoints)
    if not job.fine_tuned_model or any(one.model == job.fine_tuned_model for one in found):
        return found
    if found and found[-1].step == last_step:
        return [*found[:-1], replace(found[-1], model=job.fine_tuned_model)]
    step = last_step if last_step is not None else found[-1].step if found else 0
    return [*found, JobCheckpoint(job.id, job.fine_tuned_model, step)]
