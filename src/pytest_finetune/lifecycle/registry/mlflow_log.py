"""
The history as an append-only log of numbered records, with optimistic concurrency.

The only atomic operation needed is to create a record, which gets the next number. A record names the event that it
follows. If several follow the same event, the one with the lowest number counts for every reader, and the others are
ignored. So a change is made at one instant or not at all, and a removed record leaves a gap that no race can cause.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import FORMAT, Entry, Event, Registry, RegistryRecord, Rollout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.lifecycle.registry.mlflow_server import NumberedVersion

PREFIX = "pytest_finetune."
WRITER = f"{PREFIX}writer"
LOST = f"{PREFIX}lost"
CHUNK = 60_000
"""Maximum characters of a tag: MySQL, one of the databases that MLflow supports, stores 65,535 bytes."""

_STEP = "step"


class Step(RegistryRecord):
    """The content of one record: an event, the entries that it changed, and the rollout if it set one."""

    format: Literal[1] = FORMAT
    event: Event
    entries: dict[str, Entry] = Field(default_factory=dict)
    rollout: Rollout | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """
    A log, as far as it has been read.

    Args:
        registry: The registry after the events read so far.
        number: Number of the last record read.
        writers: For each event, the random id of the attempt that wrote it.
    """

    registry: Registry = field(default_factory=Registry)
    number: int = 0
    writers: tuple[str, ...] = ()


def step_between(before: Registry, after: Registry) -> Step:
    """The step that the last event of a registry made."""
    changed = {version: entry for version, entry in after.entries.items() if before.entries.get(version) != entry}
    rollout = after.rollout if after.rollout != before.rollout else None
    return Step(event=after.history[-1], entries=changed, rollout=rollout)


def step_tags(step: Step, writer: str) -> dict[str, str]:
    """A step as the tags of a record."""
    event = step.event
    facts = {"seq": str(event.seq), "action": event.action, "version": event.version, "hash": event.hash}
    return {
        WRITER: writer,
        **{f"{PREFIX}{key}": value for key, value in facts.items() if value},
        **chunked(_STEP, step),
    }


def extended(log: Log, records: Iterable[NumberedVersion], place: str) -> Log:
    """
    The log, extended by newer records.

    Args:
        log: The log as far as it is known.
        records: All records with higher numbers, in order.
        place: Their location, for errors.

    Raises:
        RegistryError: A record cannot be read, or follows an event that is not in the log.
    """
    history, entries = list(log.registry.history), dict(log.registry.entries)
    rollout, number, writers = log.registry.rollout, log.number, list(log.writers)
    for record in records:
        number = record.number
        step = _read(record, place)
        if step.event.seq <= len(history):
            continue  # It lost a race against a record with a lower number.
        _check_link(step.event, history, f"{place}, version {number}")
        history.append(step.event)
        writers.append(record.tags.get(WRITER, ""))
        entries.update(step.entries)
        rollout = step.rollout or rollout
    registry = Registry(seq=len(history), entries=entries, rollout=rollout, history=tuple(history))
    return Log(registry, number, tuple(writers))


def chunked(name: str, content: RegistryRecord) -> dict[str, str]:
    """A record as JSON in one or more tags; ASCII only, so that one character is one byte."""
    text = json.dumps(content.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)
    pieces = range(0, len(text), CHUNK)
    return {f"{PREFIX}{name}.{index:03}": text[start : start + CHUNK] for index, start in enumerate(pieces)}


def joined(name: str, tags: Mapping[str, str]) -> str:
    """The text that `chunked` divided."""
    start = f"{PREFIX}{name}."
    return "".join(value for key, value in sorted(tags.items()) if key.startswith(start))


def _read(record: NumberedVersion, place: str) -> Step:
    where, text = f"{place}, version {record.number}", joined(_STEP, record.tags)
    try:
        return Step.model_validate_json(text, strict=True)
    except ValidationError as error:
        if _format(text) > FORMAT:
            raise RegistryError(
                f"has format {_format(text)}, and this version reads up to {FORMAT}",
                where,
                "it was written by a newer pytest-finetune: upgrade; nothing was changed",
            ) from None
        first = error.errors()[0]
        path = ".".join(str(key) for key in first["loc"])
        problem = f"is not a registry event: {path + ': ' if path else ''}{first['msg']}"
        raise RegistryError(problem, where, "its tags were changed in MLflow: restore them") from None


def _format(text: str) -> int:
    try:
        number = json.loads(text)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return number if type(number) is int else 0


def _check_link(event: Event, history: list[Event], where: str) -> None:
    if event.seq == len(history) + 1 and event.previous == (history[-1].hash if history else ""):
        return
    raise RegistryError(
        f"event {event.seq} does not follow the history, which has {len(history)} events before it",
        where,
        "a version was deleted or changed in MLflow: restore it from a backup of its database",
    )
