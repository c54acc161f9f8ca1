"""Verification of a registry: its history is replayed by the rules, and every entry must agree with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import Rollout, VersionStatus
from pytest_finetune.lifecycle.registry.history import chain_problems, record_sha256
from pytest_finetune.lifecycle.registry.transitions import (
    ACTIONS,
    KEEPS_STATUSES,
    statuses_after,
    statuses_of,
    versions_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.registry.entry import Event, Registry


def verify(registry: Registry) -> list[str]:
    """
    All problems of a registry, one clause each; empty if it agrees with its history.

    A problem is an event that was changed, removed, added or moved, an entry or a rollout that was changed outside the
    history, an event that the rules forbid, or more than one version in production.
    """
    return [
        *chain_problems(registry.history),
        *_count_problems(registry),
        *_step_problems(registry.history),
        *_status_problems(registry),
        *_content_problems(registry),
    ]


def history_problem(registry: Registry) -> str:
    """The first problem that `verify` finds, as a clause about the registry; empty if there is none."""
    problems = verify(registry)
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"does not agree with its history: {problems[0]}{more}" if problems else ""


def refuse_altered(registry: Registry, location: str, *, remedy: str = "restore it from the repository") -> None:
    """
    Refuse a registry that was changed outside its history: the models that it names may never have been evaluated.

    Raises:
        RegistryError: The registry does not agree with its history.
    """
    if problem := history_problem(registry):
        raise RegistryError(problem, location, f"see `pytest-finetune registry verify`; {remedy}")


def _count_problems(registry: Registry) -> Iterator[str]:
    if registry.seq != len(registry.history):
        yield f"seq: is {registry.seq}, but the history has {len(registry.history)} events"
    production = versions_in(statuses_of(registry), VersionStatus.PRODUCTION)
    if len(production) > 1:
        yield f"entries: {' and '.join(sorted(production))} are in production at once"


def _step_problems(history: Sequence[Event]) -> Iterator[str]:
    """Events that the rules forbid."""
    statuses: dict[str, VersionStatus] = {}
    ever_in_production: set[str] = set()
    for index, event in enumerate(history):
        statuses, problem = _stepped(statuses, event)
        if event.action == "rollback" and event.version not in ever_in_production:
            problem = problem or "returns to a version that was never in production"
        if event.forced and not event.why:
            problem = problem or "is forced without a reason"
        if problem:
            yield f"history[{index}]: {event.action} {event.version}: {problem}"
        ever_in_production.update(versions_in(statuses, VersionStatus.PRODUCTION))


def _stepped(statuses: dict[str, VersionStatus], event: Event) -> tuple[dict[str, VersionStatus], str]:
    """The statuses after an event, and its problem."""
    before = statuses.get(event.version)
    # Replay continues with the status that a wrong event records, so that one fault is reported once.
    recorded = statuses if event.after is None else {**statuses, event.version: event.after}
    if event.action not in ACTIONS:
        return recorded, "there is no such action"
    if event.before != before:
        return (
            recorded,
            f"records the status {event.before or 'none'} before it, but that was {before or 'none'}",
        )
    try:
        after = (
            statuses
            if event.action in KEEPS_STATUSES
            else statuses_after(statuses, event.action, event.version, forced=event.forced)
        )
    except RegistryError as error:
        return recorded, error.problem
    if event.after != after.get(event.version):
        return recorded, f"records the status {event.after or 'none'} after it"
    return after, ""


def _status_problems(registry: Registry) -> Iterator[str]:
    explained: dict[str, VersionStatus] = {}
    for event in registry.history:
        explained, _ = _stepped(explained, event)
    actual = statuses_of(registry)
    for version in sorted(explained.keys() | actual.keys()):
        due = explained.get(version)
        if version not in actual:
            yield f"entries.{version}: is missing, but {due} by the history"
        elif due is None:
            yield f"entries.{version}: is not in the history"
        elif actual[version] is not due:
            yield f"entries.{version}.status: is {actual[version]}, but {due} by the history"


def _content_problems(registry: Registry) -> Iterator[str]:
    """Entries, or a rollout, that differ from the state after their last event."""
    last = {event.version: event for event in registry.history if event.action != "set_rollout"}
    for version, entry in sorted(registry.entries.items()):
        event = last.get(version)
        if event is None:
            continue
        # A version that another one replaced in production has changed its status, and nothing else, since its event.
        left = entry.model_copy(update={"status": event.after})
        if record_sha256(left) != event.entry_sha256:
            yield f"entries.{version}: was changed outside the history: its hash does not match event {event.seq}"
    rollouts = [event.entry_sha256 for event in registry.history if event.action == "set_rollout"]
    if record_sha256(registry.rollout) != (rollouts[-1] if rollouts else record_sha256(Rollout())):
        yield "rollout: was changed outside the history"
