"""The rules of status, and nothing else: which step leads from where to where, for a change and for its proof alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError, did_you_mean
from pytest_finetune.lifecycle.registry.entry import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.lifecycle.registry.entry import Entry, Event, Registry

_OPEN = (Status.CANDIDATE, Status.CANARY)

ALLOWED_FROM: Mapping[str, tuple[Status, ...]] = {
    "canary": _OPEN,
    "promote": _OPEN,
    "rollback": (Status.DEPRECATED,),
    "reject": (*_OPEN, Status.DEPRECATED),
    "retire": (*_OPEN, Status.DEPRECATED),
}
"""Where a version must stand for a step; `retire` takes one out of production too when it is forced."""

LEADS_TO: Mapping[str, Status] = {
    "add": Status.CANDIDATE,
    "canary": Status.CANARY,
    "promote": Status.PRODUCTION,
    "rollback": Status.PRODUCTION,
    "reject": Status.REJECTED,
    "retire": Status.DEPRECATED,
}
"""Where a step leads."""

KEEPS_STATUSES = ("set_rollout", "fallback")
"""Actions that the history keeps and that move no version."""

ACTIONS = (*LEADS_TO, *KEEPS_STATUSES)


def statuses_after(
    statuses: Mapping[str, Status], action: str, version: str, *, forced: bool = False
) -> dict[str, Status]:
    """
    The status of every version after one step; a new production version deprecates the one before it.

    Args:
        statuses: Status of every version before the step.
        action: One of `LEADS_TO`.
        version: The version that moves; new for `add`.
        forced: The step overrides the refusals; only `retire` is looser for it.

    Raises:
        RegistryError: The version is unknown, or no such step leads away from where it stands.
    """
    if action == "add":
        if version in statuses:
            raise RegistryError("there is such a version already", version, "a version never changes: add another")
        return {**statuses, version: LEADS_TO[action]}
    before = status_of(statuses, version)
    if before not in ALLOWED_FROM[action] and not (forced and action == "retire" and before is Status.PRODUCTION):
        raise RegistryError(_refusal(action, before), version, _remedy(action, before))
    after = {**statuses, version: LEADS_TO[action]}
    _keep_one_canary(after, action, version)
    if LEADS_TO[action] is Status.PRODUCTION:
        after |= dict.fromkeys(versions_in(statuses, Status.PRODUCTION), Status.DEPRECATED)
    return after


def statuses_of(registry: Registry) -> dict[str, Status]:
    """Where every version stands, as the entries say."""
    return {version: entry.status for version, entry in registry.entries.items()}


def production_of(registry: Registry) -> Entry | None:
    """The entry in production; None while there is none."""
    return next((entry for entry in registry.entries.values() if entry.status is Status.PRODUCTION), None)


def is_before_first(registry: Registry) -> bool:
    """No version was ever in production."""
    return not any(event.after is Status.PRODUCTION for event in registry.history)


def status_of(statuses: Mapping[str, Status], version: str) -> Status:
    """
    Where a version stands.

    Raises:
        RegistryError: There is no such version.
    """
    if version in statuses:
        return statuses[version]
    hint = did_you_mean(version, statuses) if statuses else "the registry is empty: add a version first"
    raise RegistryError(f"there is no version {version!r}", "", hint)


def versions_in(statuses: Mapping[str, Status], status: Status) -> list[str]:
    """The versions that stand there."""
    return [version for version, held in statuses.items() if held is status]


def production_stack(history: Iterable[Event]) -> tuple[str, ...]:
    """
    The versions that production can go back to, the newest last; the present one, where there is one, is at the end.

    A rollback drops what it left behind, so that a second one goes a step further back and never forward again. What
    was rejected, or retired by a person, is out.
    """
    line: list[str] = []
    for event in history:
        if event.action in {"promote", "rollback"}:
            kept = line.index(event.version) if event.version in line else len(line)
            line = [*line[:kept], event.version]
        elif event.action in {"reject", "retire"} and event.version in line:
            line.remove(event.version)
    return tuple(line)


def _keep_one_canary(after: Mapping[str, Status], action: str, version: str) -> None:
    others = [other for other in versions_in(after, Status.CANARY) if other != version]
    if action == "canary" and others:
        raise RegistryError(f"{others[0]} is the canary", version, f"promote, reject or retire {others[0]} first")


def _refusal(action: str, before: Status) -> str:
    *others, last = ALLOWED_FROM[action]
    return f"stands at {before}, and {action} starts from {', '.join(others)}{' or ' if others else ''}{last}"


def _remedy(action: str, before: Status) -> str:
    if before is Status.PRODUCTION:
        return "promote another version or roll back" if action != "promote" else "nothing is left to do"
    if before is Status.DEPRECATED and action == "promote":
        return "a rollback brings back what was in production; anything else is added as a new version"
    if before is Status.REJECTED:
        return "a rejected version stays rejected: add it under another name"
    return ""
