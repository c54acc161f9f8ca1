"""Losses by step, from a job's result file or its events, and the progress of a job."""

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

from pytest_finetune.lifecycle.training.api_errors import RefusedError
from pytest_finetune.lifecycle.training.job import finite_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pytest_finetune.lifecycle.training.job import FineTuningEvent, FineTuningJob
    from pytest_finetune.lifecycle.training.job_records import CheckpointRecord
    from pytest_finetune.lifecycle.training.service import FineTuning

_STEP_MESSAGE = re.compile(
    r"Step (\d+)(?:/(\d+))?: training loss=([\d.eE+-]+)(?:, (?:full )?validation loss=([\d.eE+-]+))?", re.ASCII
)
"""OpenAI's wording of a step, for events without figures."""

_VALID = ("full_valid_loss", "valid_loss")
_TOTAL = ("total_steps", "steps")


@dataclass(frozen=True, slots=True)
class LossPoint:
    """The losses at one step, 1-based; None if not measured."""

    step: int
    train: float | None = None
    valid: float | None = None


@dataclass(frozen=True, slots=True)
class Curves:
    """The losses of a job, in the order of its steps."""

    points: tuple[LossPoint, ...] = ()

    @property
    def train(self) -> list[tuple[int, float]]:
        """(step, training loss) wherever it was measured."""
        return [(point.step, point.train) for point in self.points if point.train is not None]

    @property
    def valid(self) -> list[tuple[int, float]]:
        """(step, validation loss) wherever it was measured."""
        return [(point.step, point.valid) for point in self.points if point.valid is not None]


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """The progress of a job: step, total number of steps if known, losses, and time of the report."""

    step: int
    total: int | None
    train: float | None
    valid: float | None
    at: datetime | None


class Pace:
    """Follows the steps of a job and estimates the time left."""

    def __init__(self) -> None:
        self._first: TrainingStep | None = None
        self.last: TrainingStep | None = None
        self.valid: float | None = None

    def add(self, event: FineTuningEvent) -> bool:
        """Process an event; returns whether it reported a step."""
        step = step_of(event)
        if step is None:
            return False
        # A restarted server resumes from an earlier step; measure the pace from there.
        if self._first is None or self.last is None or step.step < self.last.step:
            self._first = step
        self.last = step
        self.valid = self.valid if step.valid is None else step.valid
        return True

    def left(self, job: FineTuningJob | None, now: datetime) -> float | None:
        """Seconds left: the server's estimate, else from the pace so far; None if neither is known."""
        if job is not None and job.estimated_finish is not None:
            return max(0.0, (job.estimated_finish - now).total_seconds())
        first, last = self._first, self.last
        if not first or not last or not last.total or not first.at or not last.at or last.step <= first.step:
            return None
        each = (last.at - first.at).total_seconds() / (last.step - first.step)
        return max(0.0, each * (last.total - last.step) - (now - last.at).total_seconds())


def step_of(event: FineTuningEvent) -> TrainingStep | None:
    """The step that an event reports, in its figures or its message; None if it reports none."""
    data, match = finite_numbers(event.data), _STEP_MESSAGE.search(event.message)
    number = data.get("step") or (float(match[1]) if match else None)
    if not number or number < 1:
        return None
    total = next((data[name] for name in _TOTAL if name in data), float(match[2]) if match and match[2] else None)
    valid = valid_loss(data)
    if valid is None and match and match[4]:
        valid = _number(match[4])
    train = data.get("train_loss", _number(match[3]) if match else None)
    return TrainingStep(int(number), int(total) if total else None, train, valid, event.created_at)


def curves_of_events(events: Iterable[FineTuningEvent]) -> Curves:
    """The losses that events report; if a step is repeated, its last report counts."""
    steps = {step.step: step for event in events if (step := step_of(event))}
    return Curves(tuple(LossPoint(n, steps[n].train, steps[n].valid) for n in sorted(steps)))


def read_result_file(data: bytes) -> Curves:
    """
    The losses in a result file: CSV with a header, plain or, as OpenAI sends it, in base64.

    Returns:
        Empty curves if the file is something else.
    """
    text = _decoded(data)
    if not text.lstrip().lower().startswith("step"):
        return Curves()
    points = {point.step: point for row in csv.DictReader(StringIO(text)) if (point := _point(row))}
    return Curves(tuple(points[number] for number in sorted(points)))


def job_curves(service: FineTuning, job: FineTuningJob) -> Curves:
    """
    The losses of a job, from its result files, or from its events if no result file can be read.

    Raises:
        NoAnswerError: The server did not answer.
        RefusedError: It refused to list the events.
    """
    for name in job.result_files:
        try:
            found = read_result_file(service.content(name))
        except RefusedError:
            continue
        if found.points:
            return found
    return curves_of_events(reversed(list(service.events(job.id))))


def last_figures(service: FineTuning, job: FineTuningJob, checkpoints: Sequence[CheckpointRecord]) -> dict[str, float]:
    """
    The last losses of a job, by name; empty if the server refuses to return them.

    A checkpoint's loss over the whole validation file is preferred to one over a batch of it.

    Raises:
        NoAnswerError: The server did not answer.
    """
    try:
        curves = job_curves(service, job)
    except RefusedError:
        return {}
    found = {"train_loss": curves.train, "valid_loss": curves.valid}
    last = {name: points[-1][1] for name, points in found.items() if points}
    return last | _whole_file(checkpoints[-1].metrics if checkpoints else {})


def valid_loss(metrics: Mapping[str, float]) -> float | None:
    """The validation loss among some metrics; the one over the whole file is preferred to one over a batch."""
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
