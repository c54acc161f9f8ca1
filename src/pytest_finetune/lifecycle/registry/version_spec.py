"""From `registry:VERSION` to a version and its entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError, did_you_mean
from pytest_finetune.lifecycle.registry.entry import VersionStatus
from pytest_finetune.lifecycle.registry.transitions import statuses_of, versions_in

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry.entry import Entry, Registry

NAMED_BY_STATUS = (VersionStatus.PRODUCTION, VersionStatus.CANDIDATE, VersionStatus.CANARY)
"""Statuses that select a version: the only one in production, the only canary, the newest candidate."""


def version_for(registry: Registry, spec: str) -> tuple[str, Entry]:
    """
    The version that a spec names, with its entry.

    Args:
        registry: The registry.
        spec: The part after `registry:`: a version, `production`, `canary`, or `candidate` for the newest one.

    Raises:
        RegistryError: There is no such version.
    """
    if spec in registry.entries:
        return spec, registry.entries[spec]
    statuses = statuses_of(registry)
    if spec not in NAMED_BY_STATUS:
        names = [*registry.entries, *map(str, NAMED_BY_STATUS)]
        hint = did_you_mean(spec, names) if statuses else "the registry is empty: add a version first"
        raise RegistryError(f"there is no version {spec!r}", f"registry:{spec}", hint)
    found = versions_in(statuses, VersionStatus(spec))
    if not found:
        versions = ", ".join(f"{version} ({status})" for version, status in sorted(statuses.items()))
        raise RegistryError(f"no version is {spec}", f"registry:{spec}", f"there is {versions or 'no version at all'}")
    last = {event.version: event.seq for event in registry.history}
    newest = max(found, key=lambda version: (last.get(version, 0), registry.entries[version].created_at))
    return newest, registry.entries[newest]
