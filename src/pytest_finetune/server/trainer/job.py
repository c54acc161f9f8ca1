"""The description of a training, `job.json`, the file names in its folder, and its learning-rate schedule."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pytest_finetune.base.errors import TrainingError

JOB = "job.json"
PROGRESS = "progress.jsonl"
STATE = "state.pt"

_WARM_UP = 0.05
"""Share of the steps over which the learning rate rises."""


class TrainingJob(BaseModel):
    """
    One training; the same job gives the same adapter on the same machine.

    Args:
        training_file: Examples in chat format.
        validation_file: Unseen examples in chat format, measured at intervals and after each epoch.
        epochs: Passes over the training file.
        batch_size: Examples per step.
        learning_rate: The highest rate; it rises over the first steps and falls to zero at the end.
        rank: Width of the adapter's matrices.
        alpha: The adapter's output is multiplied by `alpha / rank`.
        seed: Random seed of the adapter's initial weights and of the order of examples.
        threads: Cores to use. On a busy machine one is fastest, because several wait for the slowest of them.
        precision: Type of the large matrix products. `auto` is bfloat16 if the processor multiplies it in hardware,
            which is about four times as fast.
        validate_every: Steps between measurements on one batch of the validation file.
        save_every: Seconds between saved states, from which a killed training resumes.
        weights_cache: Folder for the base model's unpacked weights (0.5 GB); without it they are unpacked each time,
            which takes about ten seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    training_file: Path
    validation_file: Path | None = None
    epochs: int = Field(default=2, ge=1, le=50)
    batch_size: int = Field(default=16, ge=1, le=256)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    rank: int = Field(default=8, ge=1, le=128)
    alpha: int = Field(default=16, ge=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    threads: int = Field(default=1, ge=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    validate_every: int = Field(default=10, ge=1)
    save_every: float = Field(default=30, ge=0)
    weights_cache: Path | None = None


def read_training_job(folder: Path) -> TrainingJob:
    """
    Read the job of a folder; relative paths in it are relative to the folder.

    Raises:
        TrainingError: There is no job, or it is not readable.
    """
    path = folder / JOB
    try:
        job = TrainingJob.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"the job cannot be read: {error}", str(path)) from None
    files = ("training_file", "validation_file", "weights_cache")
    found = {name: folder / value for name in files if (value := getattr(job, name)) is not None}
    return job.model_copy(update=found)


def checkpoint_path(folder: Path, epoch: int) -> Path:
    """File name of the adapter after an epoch, counted from 1."""
    return folder / f"epoch-{epoch}.gguf"


def schedule(step: int, steps: int) -> float:
    """
    The learning rate of a step, as a share of the highest rate.

    Args:
        step: Number of earlier steps, 0 <= step < steps.
        steps: Total number of steps.

    Returns:
        A value in (0, 1]: it rises over the first twentieth of the steps, then falls linearly towards 0.
    """
    rising = max(1, round(steps * _WARM_UP))
    if step < rising:
        return (step + 1) / rising
    return (steps - step) / max(1, steps - rising)
