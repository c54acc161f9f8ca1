"""
Changes of a registry: pure functions that check the rules and return a new registry with one more event.

Invariant: `verify` finds no problem in a registry that only `apply` has changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError, did_you_mean
from pytest_finetune.lifecycle.registry.entry import Entry, Event, Registry, Rollout, VersionStatus
from pytest_finetune.lifecycle.registry.history import appended, record_sha256
from pytest_finetune.lifecycle.registry.transitions import (
    ACTIONS,
    production_stack,
    status_of,
    statuses_after,
    statuses_of,
    versions_in,
)
from pytest_finetune.lifecycle.registry.verification import refuse_altered

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry.entry import Evidence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Change:
    """
    A requested change.

    Args:
        action: `add`, `canary`, `promote`, `rollback`, `reject` or `retire`, which change the status of a version;
            `set_rollout`, or `fallback`, which the router records; these two change no status.
        version: The version to change. For `rollback` the one to return to, or empty for the one before the current
            one; empty for `set_rollout`.
        who: Author, as `current_who` names them.
        why: The reason; required if `forced`.
        forced: The change overrides missing evidence, or a rule.
        entry: The entry to add; its status and traffic are ignored.
        evidence: The evidence for `promote` or `canary`; None keeps that of the entry.
        traffic: Share of users in [0, 1] for `canary`; None keeps that of the current canary.
        rollout: The new settings for `set_rollout`.
    """

    action: str
    version: str
    who: str
    why: str = ""
    forced: bool = False
    entry: Entry | None = None
    evidence: Evidence | None = None
    traffic: float | None = None
    rollout: Rollout | None = None


def apply(registry: Registry, change: Change, *, now: datetime) -> Registry:
    """
    The registry after a change, with one more event; the given registry is not modified.

    Args:
        registry: The registry before the change.
        change: The change.
        now: Time recorded in the event, with time zone.

    Raises:
        RegistryError: The change is incomplete, or the rules forbid it.
    """
    _check(change)
    change = replace(change, version=_subject(registry, change))
    entries = _entries_after(registry, change)
    rollout = _rollout_after(registry, change)
    event = Event(
        seq=registry.seq + 1,
        at=now,
        who=_text(change.who),
        action=change.action,
        version=change.version,
        before=_status(registry.entries, change.version),
        after=_status(entries, change.version),
        why=_text(change.why),
        forced=change.forced,
        entry_sha256=record_sha256(entries[change.version] if change.version else rollout),
    )
    return Registry(seq=event.seq, entries=entries, rollout=rollout, history=appended(registry.history, event))


def apply_checked(
    registry: Registry, change: Change, location: str, *, now: datetime | None, expected_seq: int | None, remedy: str
) -> Registry:
    """
    As `apply`, for a backend that has just read the registry: also refuse what `Backend.update` refuses.

    Args:
        registry: The registry before the change.
        change: The change.
        location: The backend's location, for errors.
        now: Time recorded in the event, with time zone; None for the current time.
        expected_seq: `seq` that the change was decided on; None for any.
        remedy: What to do about a registry that does not agree with its history.

    Raises:
        RegistryError: As `Backend.update`.
    """
    if expected_seq is not None and registry.seq != expected_seq:
        raise RegistryError(
            f"changed meanwhile: it is now at event {registry.seq}, and the change was decided at {expected_seq}",
            location,
            "look at the current registry, and decide again",
        )
    if not change.forced:
        # One more event would hide what was changed outside the history, as if it had been reviewed.
        refuse_altered(registry, location, remedy=remedy)
    return apply(registry, change, now=now or datetime.now(UTC))


def _check(change: Change) -> None:
    if change.action not in ACTIONS:
        raise RegistryError(f"there is no action {change.action!r}", "", did_you_mean(change.action, ACTIONS))
    if change.forced and not change.why.strip():
        raise RegistryError("a forced change needs a reason", change.version, "give one; it is recorded in the history")


def _entries_after(registry: Registry, change: Change) -> dict[str, Entry]:
    statuses = statuses_of(registry)
    if change.action == "set_rollout":
        return registry.entries
    if change.action == "fallback":
        status_of(statuses, change.version)
        return registry.entries
    after = statuses_after(statuses, change.action, change.version, forced=change.forced)
    entries = registry.entries | {change.version: _entry_after(registry, change)}
    return {
        version: entry if entry.status is after[version] else entry.model_copy(update={"status": after[version]})
        for version, entry in entries.items()
    }


def _entry_after(registry: Registry, change: Change) -> Entry:
    """The changed entry, still with its old status."""
    if change.action == "add":
        return _added(change)
    entry = registry.entries[change.version]
    evidence = change.evidence or entry.evidence
    return entry.model_copy(update={"traffic": _traffic(entry, change), "evidence": evidence})


def _added(change: Change) -> Entry:
    if not _NAME.fullmatch(change.version):
        raise RegistryError(
            f"{change.version!r} cannot name a version", "", "use letters, digits, '.', '_' and '-', such as v1.2"
        )
    if change.version in set(VersionStatus):
        raise RegistryError(f"{change.version!r} is the name of a status", "", "use another name, such as v1.2")
    if change.entry is None:
        raise RegistryError("there is no entry to add", change.version, "give at least the model id")
    model = change.entry.model_id
    if not model.strip() or not model.isprintable() or model.startswith(("registry:", "replay:")):
        hint = "give the id that the server knows, such as ft:…, or local:NAME"
        raise RegistryError(f"{model!r} is not a model id", change.version, hint)
    return change.entry.model_copy(update={"traffic": 0.0})


def _traffic(entry: Entry, change: Change) -> float:
    if change.action != "canary":
        return 0.0
    if change.traffic is None and entry.status is VersionStatus.CANARY:
        return entry.traffic
    if change.traffic is None or not 0 <= change.traffic <= 1:
        found = "" if change.traffic is None else f", not {change.traffic:g}"
        raise RegistryError(f"a canary needs a share of users from 0 to 1{found}", change.version, "such as 0.05")
    return change.traffic


def _rollout_after(registry: Registry, change: Change) -> Rollout:
    if change.action != "set_rollout":
        return registry.rollout
    if change.rollout is None:
        raise RegistryError("there is no rollout to set", "rollout")
    fallback = change.rollout.fallback
    if fallback and status_of(statuses_of(registry), fallback) is VersionStatus.REJECTED:
        raise RegistryError(f"{fallback} is rejected and cannot take over", "rollout.fallback", "name another version")
    if fallback and not _was_in_production(registry, fallback):
        problem = f"{fallback} was never in production and cannot take over"
        raise RegistryError(problem, "rollout.fallback", "name a version that has passed its gates")
    return change.rollout


def _subject(registry: Registry, change: Change) -> str:
    """The version that the event names: none for `set_rollout`, the one that returns for `rollback`."""
    if change.action == "set_rollout":
        return ""
    return _rollback_target(registry, change.version) if change.action == "rollback" else change.version


def _rollback_target(registry: Registry, version: str) -> str:
    statuses = statuses_of(registry)
    current = versions_in(statuses, VersionStatus.PRODUCTION)
    if not version:
        earlier = [other for other in production_stack(registry.history) if other not in current]
        if not earlier:
            raise RegistryError("there is no earlier production version to return to", "rollback")
        return earlier[-1]
    status_of(statuses, version)
    if version in current:
        raise RegistryError("is already in production", version, "omit the version to return to the one before it")
    if not _was_in_production(registry, version):
        raise RegistryError("was never in production, so a rollback cannot return to it", version, "promote it")
    return version


def _was_in_production(registry: Registry, version: str) -> bool:
    return any(event.version == version and event.after is VersionStatus.PRODUCTION for event in registry.history)


def _status(entries: dict[str, Entry], version: str) -> VersionStatus | None:
    return entries[version].status if version in entries else None


def _text(value: str) -> str:
    # Bytes on the command line that are not UTF-8 become lone surrogates, which JSON text cannot hold.
    return value.encode("utf-8", "replace").decode()
