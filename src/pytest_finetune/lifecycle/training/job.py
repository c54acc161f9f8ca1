"""What a server says of its jobs, events and checkpoints, read tolerantly: a field more or less breaks nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

NONCE = "finetune_nonce"
"""Key of a job's metadata that tells one request to train from all others."""

TRAINING_SHA256, VALIDATION_SHA256 = "training_sha256", "validation_sha256"

SUCCEEDED, FAILED, CANCELLED, PAUSED = "succeeded", "failed", "cancelled", "paused"
ENDS = frozenset({SUCCEEDED, FAILED, CANCELLED})
"""The only statuses after which nothing more comes."""

KNOWN = ENDS | {"validating_files", "queued", "running", PAUSED}


class NoSuchShape(ValueError):  # noqa: N818 - a fault of an answer, not an error of ours
    """What came is not what was asked for; the argument says in which way."""


@dataclass(frozen=True, slots=True)
class JobFault:
    """Why a job failed: a code, the server's words, and the parameter that is to blame, where it says."""

    code: str = ""
    message: str = ""
    param: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """
    A fine-tuning job as its server describes it.

    Args:
        id: Its name on the server.
        status: The server's word; only those in `KNOWN` mean something here.
        model: The base model.
        fine_tuned_model: What came of it; empty until then.
        training_file, validation_file: Ids of files on the server.
        hyperparameters: As used; `auto` until the server has decided.
        seed: What the server drew or was given; None where it does not say.
        trained_tokens: Tokens that are billed; None until they are counted.
        result_files: Ids of the files that hold the losses step by step.
        metadata: What was sent along when it was made.
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
    fault: JobFault | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @property
    def has_ended(self) -> bool:
        """It succeeded, failed or was cancelled; a status that nobody knows is no end."""
        return self.status in ENDS


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job; `data` holds figures where there are any."""

    id: str
    created_at: datetime | None
    level: str
    message: str
    data: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class JobCheckpoint:
    """A model that a job left behind on its way, with the figures of that step."""

    id: str
    model: str
    step: int
    created_at: datetime | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: NOTHING)


def read_job(value: Any) -> Job:
    """
    A job from JSON.

    Raises:
        NoSuchShape: It has no id that can be printed, or no status.
    """
    body = _object(value, "job")
    if not _text(body, "id") or not _text(body, "status"):
        raise NoSuchShape("a job without id or status")
    if not _text(body, "id").isprintable():
        raise NoSuchShape("a job whose id cannot be printed")
    return Job(
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


def read_event(value: Any) -> JobEvent:
    """
    An event from JSON.

    Raises:
        NoSuchShape: It has no id.
    """
    body = _object(value, "event")
    if not _text(body, "id"):
        raise NoSuchShape("an event without id")
    return JobEvent(
        _text(body, "id"),
        _moment(body, "created_at"),
        _text(body, "level") or "info",
        _text(body, "message"),
        _inner(body, "data"),
    )


def read_checkpoint(value: Any) -> JobCheckpoint:
    """
    A checkpoint from JSON.

    Raises:
        NoSuchShape: It names no model, or no step.
    """
    body = _object(value, "checkpoint")
    step = _whole(body, "step_number")
    if not _text(body, "fine_tuned_model_checkpoint") or step is None:
        raise NoSuchShape("a checkpoint without model or step")
    return JobCheckpoint(
        _text(body, "id"),
        _text(body, "fine_tuned_model_checkpoint"),
        step,
        _moment(body, "created_at"),
        figures(_inner(body, "metrics")),
    )


def figures(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among some values, by name."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoSuchShape(f"no {what}")
    return value


def _hyperparameters(body: dict[str, Any]) -> dict[str, Any]:
    """Where the method holds them they are there; older servers have them at the top."""
    method = _inner(_inner(_inner(body, "method"), "supervised"), "hyperparameters")
    found = {**_inner(body, "hyperparameters"), **method}
    return {k: v for k, v in found.items() if isinstance(v, int | float | str) and not isinstance(v, bool)}


def _fault(value: Any) -> JobFault | None:
    # OpenAI sends an object of nulls for a job without fault.
    if not isinstance(value, dict) or not any(value.values()):
        return None
    return JobFault(_text(value, "code"), _text(value, "message"), _text(value, "param"))


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
