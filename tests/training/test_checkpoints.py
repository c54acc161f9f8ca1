"""The models of a job: each set of weights is listed once, the final one under the name of the model."""

from __future__ import annotations

import pytest

from pytest_finetune.lifecycle.training.checkpoints import with_final_model
from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint, FineTuningJob

JOB = FineTuningJob("ftjob-1", "succeeded", fine_tuned_model="ft:m")
SAVED = [FineTuningCheckpoint("c2", "ft:m:2", 2), FineTuningCheckpoint("c4", "ft:m:4", 4)]


@pytest.mark.parametrize(
    ("checkpoints", "last_step", "expected"),
    [
        (SAVED, 4, [("ft:m:2", 2), ("ft:m", 4)]),
        (SAVED, 5, [("ft:m:2", 2), ("ft:m:4", 4), ("ft:m", 5)]),
        (SAVED, None, [("ft:m:2", 2), ("ft:m:4", 4), ("ft:m", 4)]),
        ([], None, [("ft:m", 0)]),
        ([FineTuningCheckpoint("c4", "ft:m", 4)], 5, [("ft:m", 4)]),
    ],
)
def test_the_final_model_replaces_the_checkpoint_of_the_last_step_or_follows_the_others(
    checkpoints, last_step, expected
):
    assert [(one.model, one.step) for one in with_final_model(JOB, checkpoints, last_step)] == expected


def test_a_job_without_a_model_has_its_checkpoints():
    assert with_final_model(FineTuningJob("ftjob-1", "cancelled"), SAVED, 5) == SAVED
