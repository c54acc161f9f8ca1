"""The models of a job: its checkpoints, and its final model under its own name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.training.curves import step_of
from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.training.job import FineTuningJob
    from pytest_finetune.lifecycle.training.service import FineTuning


def models_of(service: FineTuning, job: FineTuningJob) -> list[FineTuningCheckpoint]:
    """
    The models of a job, in the order of their steps.

    Raises:
        TrainingError: The server did not return them.
    """
    checkpoints = service.checkpoints(job.id)
    steps = (step.step for event in service.events(job.id) if (step := step_of(event)))
    return with_final_model(job, checkpoints, next(steps, None))


def with_final_model(
    job: FineTuningJob, checkpoints: Sequence[FineTuningCheckpoint], last_step: int | None
) -> list[FineTuningCheckpoint]:
    """
    The checkpoints and the final model.

    A checkpoint of the last step has the same weights as the final model, so the two are listed once, under the
    model's name.

    Args:
        job: The job.
        checkpoints: In the order of their steps.
        last_step: The last step that the job reported; None if it reported none.
    """
    found = list(checkpoints)
    if not job.fine_tuned_model or any(one.model == job.fine_tuned_model for one in found):
        return found
    if found and found[-1].step == last_step:
        return [*found[:-1], replace(found[-1], model=job.fine_tuned_model)]
    step = last_step if last_step is not None else found[-1].step if found else 0
    return [*found, FineTuningCheckpoint(job.id, job.fine_tuned_model, step)]
