"""The saved state of a training: all that the next step depends on, so that resuming does not change the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.base.files import atomic_writer

if TYPE_CHECKING:
    from pathlib import Path


def save_state(
    path: Path, job: str, step: int, parameters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """
    Save the state, atomically.

    Args:
        path: The file; an existing one is replaced.
        job: The job as JSON; a state is only loaded for the same job.
        step: Steps done.
        parameters: The adapter's parameters.
        optimizer: The optimizer of these parameters, in this order.
    """
    adapter = {name: part.detach() for name, part in parameters.items()}
    with atomic_writer(path) as file:
        torch.save({"job": job, "step": step, "adapter": adapter, "optimizer": optimizer.state_dict()}, file)


def restore_state(
    path: Path, job: str, parameters: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> int:
    """
    Load a saved state.

    Returns:
        Steps done; 0 if there is no saved state.

    Raises:
        TrainingError: The state is damaged, or belongs to another job.
    """
    if not path.is_file():
        return 0
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises what it likes for a broken file
        problem = f"the saved state cannot be read: {type(error).__name__}"
        raise TrainingError(problem, str(path), "remove it to start again from step 0") from None
    if state["job"] != job:
        raise TrainingError("the saved state belongs to another job", str(path), "remove it to start again from step 0")
    with torch.no_grad():
        for name, part in parameters.items():
            part.copy_(state["adapter"][name])
    optimizer.load_state_dict(state["optimizer"])
    step: int = state["step"]
    return step
