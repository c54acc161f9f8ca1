"""Losses step by step, from a job's result file or from its events, and how far a job has come."""

from __future__ import annotations

import csv
import re
from base64 import b64decode
from binascii import Error as NotBase64
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.training.faults import RefusedError
from pytest_finetune.lifecycle.training.job import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pytest_finetune.lifecycle.training.job import Job, JobEvent
    from pytest_finetune.lifecycle.training.record import CheckpointRecord
    from pytest_finetune.lifecycle.training.service import FineTuning

_TOLD = re.compile(
    r"Step (\d+)(?:/(\d+))?: training loss=([\d.eE+-]+)(?:, (?:full )?validation loss=([\d.eE+-]+))?", re.ASCII
)
"""How OpenAI words a step where an event brings no figures."""

_VALID = ("full_valid_loss", "valid_loss")
_TOTAL = ("total_steps", "steps")


@dataclass(frozen=True, slots=True)
class LossPoint:
    """The losses at one step, 1-based; None where none was measured."""

    step: int
    train: float | None = None
    valid: float | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """The losses of one job, in the order of its steps."""

    points: tuple[LossPoint, ...] = ()

    @property
    def train(self) -> list[tuple[int, float]]:
        """Step and training loss, where it was measured."""
        return [(point.step, point.train) for point in self.points if point.train is not None]

    @property
    def valid(self) -> list[tuple[int, float]]:
        """Step and validation loss, where it was measured."""
        return [(point.step, point.valid) for point in self.points if point.valid is not None]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a job is: the step, of how many where that is known, its losses, and when it was reported."""

    step: int
    total: int | None
    train: float | None
    valid: float | None
    at: datetime | None


class Pace:
    """Step after step, and how long the rest will take."""

    def __init__(self) -> None:
        self._first: Step | None = None
        self.last: Step | None = None
        self.valid: float | None = None

    def see(self, event: JobEvent) -> bool:
        """Take in an event; whether it was a step."""
        step = step_of(event)
        if step is None:
            return False
        # A server that was killed goes back to its last checkpoint, and its pace is measured anew.
        if self._first is None or self.last is None or step.step < self.last.step:
            self._first = step
        self.last = step
        self.valid = self.valid if step.valid is None else step.valid
        return True

    def left(self, job: Job | None, now: datetime) -> float | None:
        """Seconds until the end: as the server estimates, else by the pace so far; None where neither is known."""
        if job is not None and job.estimated_finish is not None:
            return max(0.0, (job.estimated_finish - now).total_seconds())
        first, last = self._first, self.last
        if not first or not last or not last.total or not first.at or not last.at or last.step <= first.step:
            return None
        each = (last.at - first.at).total_seconds() / (last.step - first.step)
        return max(0.0, each * (last.total - last.step) - (now - last.at).total_seconds())


def step_of(event: JobEvent) -> Step | None:
    """The step that an event reports, by its figures or its words; None where it reports none."""
    data, said = figures(event.data), _TOLD.search(event.message)
    number = data.get("step") or (float(said[1]) if said else None)
    if not number or number < 1:
        return None
    total = next((data[name] for name in _TOTAL if name in data), float(said[2]) if said and said[2] else None)
    valid = valid_loss(data)
    if valid is None and said and said[4]:
        valid = _number(said[4])
    train = data.get("train_loss", _number(said[3]) if said else None)
    return Step(int(number), int(total) if total else None, train, valid, event.created_at)


def curves_of_events(events: Iterable[JobEvent]) -> Curves:
    """The losses that events report; a step that was taken again counts as it came out last."""
    steps = {step.step: step for event in events if (step := step_of(event))}
    return Curves(tuple(LossPoint(n, steps[n].train, steps[n].valid) for n in sorted(steps)))


def read_result_file(data: bytes) -> Curves:
    """
    The losses of a result file: CSV with a head line, as such or, as OpenAI sends it, in base64.

    Returns:
        No point where it is something else.
    """
    text = _decoded(data)
    if not text.lstrip().lower().startswith("step"):
        return Curves()
    points = {point.step: point for row in csv.DictReader(StringIO(text)) if (point := _point(row))}
    return Curves(tuple(points[number] for number in sorted(points)))


def job_curves(service: FineTuning, job: Job) -> Curves:
    """
    The losses of a job: of its result files, or of its events where there are none, or none can be read.

    Raises:
        NoAnswerError: The server does not answer.
        RefusedError: It does not tell the events either.
    """
    for name in job.result_files:
        try:
            found = read_result_file(service.content(name))
        except RefusedError:
            continue
        if found.points:
            return found
    return curves_of_events(reversed(list(service.events(job.id))))


def last_figures(service: FineTuning, job: Job, checkpoints: Sequence[CheckpointRecord]) -> dict[str, float]:
    """
    The last losses of a job, by name; nothing where the server will not tell them.

    A checkpoint's loss over the whole validation file goes before one over a batch of it.

    Raises:
        NoAnswerError: The server does not answer.
    """
    try:
        curves = job_curves(service, job)
    except RefusedError:
        return {}
    found = {"train_loss": curves.train, "valid_loss": curves.valid}
    last = {name: points[-1][1] for name, points in found.items() if points}
    return last | _whole_file(checkpoints[-1].metrics if checkpoints else {})


def valid_loss(metrics: Mapping[str, float]) -> float | None:
    """The validation loss among some figures: that over the whole file before one over a batch of it."""
    return next((metrics[name] for name in _VALID if name in metrics), None)


def _whole_file(metrics: Mapping[str, float]) -> dict[str, float]:
    return {"valid_loss": metrics[_VALID[0]]} if _VALID[0] in metrics else {}


def _decoded(data: bytes) -> str:
    with suppress(NotBase64):
        data = b64decode(data.strip(), validate=True)
    return data.decode("utf-8-sig", "replace")


def _point(row: Mapping[str, str | None]) -> LossPoint | None:
    step = _number(row.get("step"))
    if step is None or step < 0:
        return None
    valid = next((value for name in _VALID if (value := _number(row.get(name))) is not None), None)
    return LossPoint(int(step), _number(row.get("train_loss")), valid)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and isfinite(value) else None
