"""
The chain of events: no step can be changed, taken out or moved without its hash, or its successor's, telling.

The chain has no secret: whoever rewrites all of it from some step on is caught by the repository that keeps the file,
not here.
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


def canonical_json(record: RegistryRecord, *, without: frozenset[str] = frozenset()) -> str:
    """
    A record as the JSON text that is hashed: sorted keys, no blanks, UTF-8, fields at their default left out.

    Defaults are left out so that a field which a later version adds leaves old hashes as they are.

    Raises:
        RegistryError: A value has no place in JSON: not a finite number, half a character, a foreign object.
    """
    try:
        values = record.model_dump(mode="json", exclude=set(without), exclude_defaults=True)
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (PydanticSerializationError, ValueError, TypeError) as error:
        raise RegistryError(f"a value cannot be written as JSON: {error}", type(record).__name__.lower()) from error
    return text


def record_sha256(record: RegistryRecord) -> str:
    """SHA-256 of the canonical JSON of an entry or a rollout, as 64 hex digits."""
    return hashlib.sha256(canonical_json(record).encode()).hexdigest()


def event_sha256(event: Event) -> str:
    """What `hash` of an event must be: SHA-256 of all its other fields, the hash of its predecessor among them."""
    return hashlib.sha256(canonical_json(event, without=frozenset({"hash"})).encode()).hexdigest()


def appended(history: Sequence[Event], event: Event) -> tuple[Event, ...]:
    """The history with one more event, chained to the last one."""
    linked = event.model_copy(update={"previous": history[-1].hash if history else ""})
    return (*history, linked.model_copy(update={"hash": event_sha256(linked)}))


def chain_problems(history: Sequence[Event]) -> list[str]:
    """What is wrong with the chain itself, one clause a finding; nothing when it holds."""
    problems, previous = [], ""
    for index, event in enumerate(history):
        place = f"history[{index}]"
        if event.seq != index + 1:
            problems.append(f"{place}: seq is {event.seq} where {index + 1} was due")
        if event.previous != previous:
            problems.append(f"{place}: does not follow the event before it: one was changed, taken out or moved")
        if event.hash != event_sha256(event):
            problems.append(f"{place}: was changed after it was written: its hash does not fit")
        previous = event.hash
    return problems
