"""The rules of status changes, used both to apply a change and to verify the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError, did_you_mean
from pytest_finetune.lifecycle.registry.entry import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_finetune.lifecycle.registry.entry import Entry, Event, Registry

_OPEN = (VersionStatus.CANDIDATE, VersionStatus.CANARY)

ALLOWED_FROM: Mapping[str, tuple[VersionStatus, ...]] = {
    "canary": _OPEN,
    "promote": _OPEN,
    "rollback": (VersionStatus.DEPRECATED,),
    "reject": (*_OPEN, VersionStatus.DEPRECATED),
    "retire": (*_OPEN, VersionStatus.DEPRECATED),
}
"""The statuses that allow an action; a forced `retire` is also allowed from production."""

LEADS_TO: Mapping[str, VersionStatus] = {
    "add": VersionStatus.CANDIDATE,
    "canary": VersionStatus.CANARY,
    "promote": VersionStatus.PRODUCTION,
    "rollback": VersionStatus.PRODUCTION,
    "reject": VersionStatus.REJECTED,
    "retire": VersionStatus.DEPRECATED,
}
"""The status after an action."""

KEEPS_STATUSES = ("set_rollout", "fallback")
"""Actions that are recorded in the history and change no status."""

ACTIONS = (*LEADS_TO, *KEEPS_STATUSES)


def statuses_after(
    statuses: Mapping[str, VersionStatus], action: str, version: str, *, forced: bool = False
) -> dict[str, VersionStatus]:
    """
    The status of every version after an action; a new production version deprecates the one before it.

    Args:
        statuses: VersionStatus of every version before it.
        action: One of `LEADS_TO`.
        version: The version to change; a new one for `add`.
        forced: Also allow `retire` from production.

    Raises:
        RegistryError: The version is unknown, or its status does not allow the action.
    """
    if action == "add":
        if version in statuses:
            raise RegistryError("the version exists already", version, "versions are immutable; add another one")
        return {**statuses, version: LEADS_TO[action]}
    before = status_of(statuses, version)
    if before not in ALLOWED_FROM[action] and not (
        forced and action == "retire" and before is VersionStatus.PRODUCTION
    ):
        raise RegistryError(_refusal(action, before), version, _remedy(action, before))
    after = {**statuses, version: LEADS_TO[action]}
    _keep_one_canary(after, action, version)
    if LEADS_TO[action] is VersionStatus.PRODUCTION:
        after |= dict.fromkeys(versions_in(statuses, VersionStatus.PRODUCTION), VersionStatus.DEPRECATED)
    return after


def statuses_of(registry: Registry) -> dict[str, VersionStatus]:
    """The status of every version, according to the entries."""
    return {version: entry.status for version, entry in registry.entries.items()}


def production_of(registry: Registry) -> Entry | None:
    """The entry in production; None if there is none."""
    return next((entry for entry in registry.entries.values() if entry.status is VersionStatus.PRODUCTION), None)


def is_before_first(registry: Registry) -> bool:
    """Whether no version was ever in production."""
    return not any(event.after is VersionStatus.PRODUCTION for event in registry.history)


def status_of(statuses: Mapping[str, VersionStatus], version: str) -> VersionStatus:
    """
    The status of a version.

    Raises:
        RegistryError: There is no such version.
    """
    if version in statuses:
        return statuses[version]
    hint = did_you_mean(version, statuses) if statuses else "the registry is empty: add a version first"
    raise RegistryError(f"there is no version {version!r}", "", hint)


def versions_in(statuses: Mapping[str, VersionStatus], status: VersionStatus) -> list[str]:
    """The versions with a status."""
    return [version for version, held in statuses.items() if held is status]


def production_stack(history: Iterable[Event]) -> tuple[str, ...]:
    """
    The versions that a rollback can return to, the newest last; a version in production comes at the end.

    A rollback removes the versions that it leaves, so that a second one goes further back and never forward again.
    Rejected and retired versions are removed, too.
    """
    stack: list[str] = []
    for event in history:
        if event.action in {"promote", "rollback"}:
            kept = stack.index(event.version) if event.version in stack else len(stack)
            stack = [*stack[:kept], event.version]
        elif event.action in {"reject", "retire"} and event.version in stack:
            stack.remove(event.version)
    return tuple(stack)


def _keep_one_canary(after: Mapping[str, VersionStatus], action: str, version: str) -> None:
    others = [other for other in versions_in(after, VersionStatus.CANARY) if other != version]
    if action == "canary" and others:
        raise RegistryError(
            f"{others[0]} is already the canary", version, f"promote, reject or retire {others[0]} first"
        )


def _refusal(action: str, before: VersionStatus) -> str:
    *others, last = ALLOWED_FROM[action]
    return f"is {before}, and {action} requires {', '.join(others)}{' or ' if others else ''}{last}"


def _remedy(action: str, before: VersionStatus) -> str:
    if before is VersionStatus.PRODUCTION:
        return "promote another version or roll back" if action != "promote" else "nothing to do"
    if before is VersionStatus.DEPRECATED and action == "promote":
        return "use rollback for a version that was in production; add any other one as a new version"
    if before is VersionStatus.REJECTED:
        return "a rejection is permanent; add the model as a new version"
    return ""
