"""
The hash chain of events: an event that is changed, removed or moved breaks its own hash or that of the next one.

The chain holds no secret, so somebody who rewrites it from some event to the end is not detected here; version control
of the file, or a backup, shows that.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from pydantic_core import PydanticSerializationError

from pytest_finetune.base.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.lifecycle.registry.entry import Event, RegistryRecord


def record_json(record: RegistryRecord, *, without: frozenset[str] = frozenset()) -> str:
    """
    A record as the JSON text that is hashed: sorted keys, no spaces, UTF-8, without fields that have their default.

    Raises:
        RegistryError: A value cannot be written as JSON: a number that is not finite, a lone surrogate, another object.
    """
    try:
        # Without defaults, a field that a later version adds does not change the hashes of older records.
        values = record.model_dump(mode="json", exclude=set(without), exclude_defaults=True)
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (PydanticSerializationError, ValueError, TypeError) as error:
        raise RegistryError(f"a value cannot be written as JSON: {error}", type(record).__name__.lower()) from error
    return text


def record_sha256(record: RegistryRecord) -> str:
    """SHA-256 of the canonical JSON of an entry or a rollout, as 64 hex digits."""
    return hashlib.sha256(record_json(record).encode()).hexdigest()


def event_sha256(event: Event) -> str:
    """The correct `hash` of an event: SHA-256 of all other fields, including the hash of the event before."""
    return hashlib.sha256(record_json(event, without=frozenset({"hash"})).encode()).hexdigest()


def appended(history: Sequence[Event], event: Event) -> tuple[Event, ...]:
    """The history with one more event, linked to the last one."""
    linked = event.model_copy(update={"previous": history[-1].hash if history else ""})
    return (*history, linked.model_copy(update={"hash": event_sha256(linked)}))


def chain_problems(history: Sequence[Event]) -> list[str]:
    """The faults of the chain, one clause each; empty if it is intact."""
    problems, previous = [], ""
    for index, event in enumerate(history):
        place = f"history[{index}]"
        if event.seq != index + 1:
            problems.append(f"{place}: seq is {event.seq}, expected {index + 1}")
        if event.previous != previous:
            problems.append(f"{place}: does not follow the event before it: an event was changed, removed or moved")
        if event.hash != event_sha256(event):
            problems.append(f"{place}: was changed after it was written: its hash does not match")
        previous = event.hash
    return problems
