"""Jobs, events and checkpoints as servers return them, parsed leniently: unknown or missing fields are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

NONCE = "finetune_nonce"
"""Metadata key of the random id that identifies a training request."""

TRAINING_SHA256, VALIDATION_SHA256 = "training_sha256", "validation_sha256"

SUCCEEDED, FAILED, CANCELLED, PAUSED = "succeeded", "failed", "cancelled", "paused"
ENDS = frozenset({SUCCEEDED, FAILED, CANCELLED})
"""The statuses in which a job has ended."""

KNOWN = ENDS | {"validating_files", "queued", "running", PAUSED}


class UnexpectedShape(ValueError):  # noqa: N818 - internal; becomes a NoAnswerError
    """A response does not have the expected shape; the argument describes it."""


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job failed: the server's error code, its message, and the parameter at fault; each may be empty."""

    code: str = ""
    message: str = ""
    param: str = ""


@dataclass(frozen=True, slots=True)
class FineTuningJob:
    """
    A fine-tuning job as its server describes it.

    Args:
        id: Its id on the server.
        status: As the server sent it; may be one that is not in `KNOWN`.
        model: The base model.
        fine_tuned_model: The resulting model; empty until the job has succeeded.
        training_file, validation_file: Ids of files on the server.
        hyperparameters: As used; `auto` until the server has decided.
        seed: The random seed; None if the server does not report it.
        trained_tokens: Billed tokens; None until they are counted.
        result_files: Ids of the files with the losses of each step.
        metadata: Sent when the job was created.
    """

    id: str
    status: str
    model: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    estimated_finish: datetime | None = None
    fine_tuned_model: str = ""
    training_file: str = ""
    validation_file: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    seed: int | None = None
    suffix: str = ""
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()
    fault: JobFailure | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @property
    def has_ended(self) -> bool:
        """Whether it failed, was cancelled, or succeeded and has its model; one with an unknown status is running."""
        return self.status in ENDS and not self.awaits_its_model

    @property
    def awaits_its_model(self) -> bool:
        """Whether it has succeeded, but the server has not sent the id of its model yet."""
        return self.status == SUCCEEDED and not self.fine_tuned_model


@dataclass(frozen=True, slots=True)
class FineTuningEvent:
    """An event of a job; `data` holds its figures, if any."""

    id: str
    created_at: datetime | None
    level: str
    message: str
    data: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class FineTuningCheckpoint:
    """A checkpoint: an intermediate model of a job, with the metrics of its step."""

    id: str
    model: str
    step: int
    created_at: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: NOTHING)


def read_job(value: object) -> FineTuningJob:
    """
    Parse a job from JSON.

    Raises:
        UnexpectedShape: It has no printable id, or no status.
    """
    body = _object(value, "job")
    if not _text(body, "id") or not _text(body, "status"):
        raise UnexpectedShape("a job without id or status")
    if not _text(body, "id").isprintable():
        raise UnexpectedShape("a job with an unprintable id")
    return FineTuningJob(
        id=_text(body, "id"),
        status=_text(body, "status"),
        model=_text(body, "model"),
        created_at=_moment(body, "created_at"),
        finished_at=_moment(body, "finished_at"),
        estimated_finish=_moment(body, "estimated_finish"),
        fine_tuned_model=_text(body, "fine_tuned_model"),
        training_file=_text(body, "training_file"),
        validation_file=_text(body, "validation_file"),
        hyperparameters=_hyperparameters(body),
        seed=_whole(body, "seed"),
        suffix=_text(body, "user_provided_suffix"),
        trained_tokens=_whole(body, "trained_tokens"),
        result_files=tuple(name for name in _list(body, "result_files") if isinstance(name, str)),
        fault=_fault(body.get("error")),
        metadata={k: v for k, v in _inner(body, "metadata").items() if isinstance(v, str)},
    )


def read_event(value: object) -> FineTuningEvent:
    """
    Parse an event from JSON.

    Raises:
        UnexpectedShape: It has no id.
    """
    body = _object(value, "event")
    if not _text(body, "id"):
        raise UnexpectedShape("an event without id")
    return FineTuningEvent(
        _text(body, "id"),
        _moment(body, "created_at"),
        _text(body, "level") or "info",
        _text(body, "message"),
        _inner(body, "data"),
    )


def read_checkpoint(value: object) -> FineTuningCheckpoint:
    """
    Parse a checkpoint from JSON.

    Raises:
        UnexpectedShape: It has no model or no step.
    """
    body = _object(value, "checkpoint")
    step = _whole(body, "step_number")
    if not _text(body, "fine_tuned_model_checkpoint") or step is None:
        raise UnexpectedShape("a checkpoint without model or step")
    return FineTuningCheckpoint(
        _text(body, "id"),
        _text(body, "fine_tuned_model_checkpoint"),
        step,
        _moment(body, "created_at"),
        finite_numbers(_inner(body, "metrics")),
    )


def finite_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among the values."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnexpectedShape(f"not a {what} object")
    return value


def _hyperparameters(body: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters, which older servers send at the top level and newer ones in the method."""
    method = _inner(_inner(_inner(body, "method"), "supervised"), "hyperparameters")
    found = {**_inner(body, "hyperparameters"), **method}
    return {k: v for k, v in found.items() if isinstance(v, int | float | str) and not isinstance(v, bool)}


def _fault(value: object) -> JobFailure | None:
    # For a job that did not fail, OpenAI sends an object of nulls.
    if not isinstance(value, dict) or not any(value.values()):
        return None
    return JobFailure(_text(value, "code"), _text(value, "message"), _text(value, "param"))


def _inner(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _list(body: Mapping[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    return value if isinstance(value, list) else []


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _whole(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _moment(body: Mapping[str, Any], key: str) -> datetime | None:
    value = body.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return None
