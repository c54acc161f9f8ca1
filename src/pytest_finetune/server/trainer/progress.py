"""The progress of a training: a file with one JSON object per line."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Started(_Event):
    """The training starts, or resumes after the steps of an earlier process."""

    kind: Literal["started"] = "started"
    step: int
    steps: int
    examples: int
    tokens: int = Field(description="tokens of the training file in one epoch")
    learned_tokens: int = Field(description="those of them that the loss includes")
    precision: str
    threads: int


class Stepped(_Event):
    """A step is done; its loss and accuracy were measured before the weights changed."""

    kind: Literal["step"] = "step"
    step: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds: float
    valid_loss: float | None = None
    valid_accuracy: float | None = None


class Checkpoint(_Event):
    """An epoch is done and its adapter written; the validation loss and accuracy are over the whole file."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    epoch: int
    file: str
    loss: float
    accuracy: float
    valid_loss: float | None = None
    valid_accuracy: float | None = None


class Stopped(_Event):
    """The training ended: finished, paused with its state saved, cancelled, or failed."""

    kind: Literal["finished", "paused", "cancelled", "failed"]
    step: int
    problem: str = ""


TrainerEvent = Annotated[Started | Stepped | Checkpoint | Stopped, Field(discriminator="kind")]

_EVENT: TypeAdapter[TrainerEvent] = TypeAdapter(TrainerEvent)


class ProgressFile:
    """
    Appends events to a file and prints them to standard output.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        _drop_torn_line(path)
        self._path = path

    def append(self, event: TrainerEvent) -> None:
        """Append one event; it is on disk when this returns."""
        line = event.model_dump_json(exclude_none=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)  # noqa: T201 - the program's output


def read_progress(path: Path, start: int) -> Iterator[tuple[int, TrainerEvent]]:
    """
    Events from a byte offset on, each with the offset after it; an incomplete last line is left for the next call.

    Raises:
        ValueError: A line is not an event.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            yield start, _EVENT.validate_json(line)


def _drop_torn_line(path: Path) -> None:
    """Remove the incomplete last line that a killed process may have left."""
    if path.is_file() and (data := path.read_bytes()) and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)
