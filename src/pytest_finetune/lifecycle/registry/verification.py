"""The proof that a registry is what its history says: the history is walked again by the rules, and all must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry.entry import Rollout, Status
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
    Everything about a registry that its history does not explain, one clause a finding; nothing when it is sound.

    Found are: an event changed, taken out, added or moved; an entry or the rollout changed outside the history; a step
    that the rules forbid; two versions in production.
    """
    return [
        *chain_problems(registry.history),
        *_count_problems(registry),
        *_step_problems(registry.history),
        *_status_problems(registry),
        *_content_problems(registry),
    ]


def history_problem(registry: Registry) -> str:
    """What `verify` finds first, as a clause about the registry; empty if the registry agrees with its history."""
    problems = verify(registry)
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"does not agree with its history: {problems[0]}{more}" if problems else ""


def refuse_altered(registry: Registry, location: str, *, remedy: str = "restore it from the repository") -> None:
    """
    A registry that was changed outside its history decides nothing: what it names was never judged.

    Raises:
        RegistryError: The registry does not agree with its history.
    """
    if problem := history_problem(registry):
        raise RegistryError(problem, location, f"see `pytest-finetune registry verify`; {remedy}")


def _count_problems(registry: Registry) -> Iterator[str]:
    if registry.seq != len(registry.history):
        yield f"seq: is {registry.seq}, and the history holds {len(registry.history)} events"
    reigning = versions_in(statuses_of(registry), Status.PRODUCTION)
    if len(reigning) > 1:
        yield f"entries: {' and '.join(sorted(reigning))} are in production at once"


def _step_problems(history: Sequence[Event]) -> Iterator[str]:
    """Steps that the rules forbid where they were taken."""
    statuses: dict[str, Status] = {}
    reigned: set[str] = set()
    for index, event in enumerate(history):
        statuses, problem = _stepped(statuses, event)
        if event.action == "rollback" and event.version not in reigned:
            problem = problem or "goes back to a version that was never in production"
        if event.forced and not event.why:
            problem = problem or "was forced without a reason"
        if problem:
            yield f"history[{index}]: {event.action} {event.version}: {problem}"
        reigned.update(versions_in(statuses, Status.PRODUCTION))


def _stepped(statuses: dict[str, Status], event: Event) -> tuple[dict[str, Status], str]:
    """The statuses after an event, and what is wrong with it; a wrong one is believed, so that it is told once."""
    before = statuses.get(event.version)
    believed = statuses if event.after is None else {**statuses, event.version: event.after}
    if event.action not in ACTIONS:
        return believed, "there is no such action"
    if event.before != before:
        return believed, f"says that it stood at {event.before or 'nothing'} and it stood at {before or 'nothing'}"
    try:
        after = (
            statuses
            if event.action in KEEPS_STATUSES
            else statuses_after(statuses, event.action, event.version, forced=event.forced)
        )
    except RegistryError as error:
        return believed, error.problem
    if event.after != after.get(event.version):
        return believed, f"says that it leads to {event.after or 'nothing'}"
    return after, ""


def _status_problems(registry: Registry) -> Iterator[str]:
    explained: dict[str, Status] = {}
    for event in registry.history:
        explained, _ = _stepped(explained, event)
    actual = statuses_of(registry)
    for version in sorted(explained.keys() | actual.keys()):
        due = explained.get(version)
        if version not in actual:
            yield f"entries.{version}: is missing, and the history says {due}"
        elif due is None:
            yield f"entries.{version}: is nowhere in the history"
        elif actual[version] is not due:
            yield f"entries.{version}.status: is {actual[version]}, and the history says {due}"


def _content_problems(registry: Registry) -> Iterator[str]:
    """Entries and a rollout that are not what their last event left."""
    last = {event.version: event for event in registry.history if event.action != "set_rollout"}
    for version, entry in sorted(registry.entries.items()):
        event = last.get(version)
        if event is None:
            continue
        # A version that lost production to another one has changed its status, and that alone, since its own event.
        left = entry.model_copy(update={"status": event.after})
        if record_sha256(left) != event.entry_sha256:
            yield f"entries.{version}: was changed outside the history: its hash is not the one of event {event.seq}"
    rollouts = [event.entry_sha256 for event in registry.history if event.action == "set_rollout"]
    if record_sha256(registry.rollout) != (rollouts[-1] if rollouts else record_sha256(Rollout())):
        yield "rollout: was changed outside the history"
