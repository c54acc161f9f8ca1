"""The traffic plan of a registry, as plain data, and the position of each user in it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from pytest_finetune.lifecycle.registry import Registry

FALLBACK = "fallback"
"""Action of the registry event that records a fallback; it does not change a status."""

_BITS = 53
"""The bits that a float holds exactly, so that no position is rounded up to 1."""


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where a user's calls go.

    Args:
        version: Version name in the registry.
        model: Model id on the wire.
        base_url: The version's own server; empty for the client's.
    """

    version: str
    model: str
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class VersionDecision:
    """
    What people, not routers, last decided about a version. A fallback holds until this changes.

    `seq` is the number of the registry event of that decision; 0 if there is none.
    """

    status: VersionStatus
    model: str
    traffic: float
    seq: int


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """
    How traffic is shared while every version is healthy.

    Args:
        production: Serves all users whom the canary does not serve.
        canary: Serves the users whose position is below `traffic`; None if there is none.
        fallback: Replaces production if that fails; None if the registry names no usable one.
        traffic: The canary's share of the users, in [0, 1].
        decisions: The last decision about each version above.
        recorded: Versions whose fallback the registry records, with the event's number, if there was no decision about
            them since and another version can replace them.
        faults: Problems of the rollout configuration that were worked around, one clause each.
    """

    production: Route
    canary: Route | None
    fallback: Route | None
    traffic: float
    decisions: Mapping[str, VersionDecision]
    recorded: Mapping[str, int]
    faults: tuple[str, ...] = ()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every version that serves or may come to serve, without duplicates."""
        return tuple(dict.fromkeys(route for route in (self.production, self.canary, self.fallback) if route))

    def main(self, fallen: Container[str]) -> Route:
        """The route of most users: production, or the fallback after production has fallen back."""
        return self.fallback if self.fallback and self.production.version in fallen else self.production

    def trial(self, fallen: Container[str]) -> Route | None:
        """The canary, unless it has fallen back."""
        return self.canary if self.canary and self.canary.version not in fallen else None


class UserPositions:
    """
    Positions of user ids, uniform over [0, 1) and independent; the same in every process and on every machine.

    Args:
        salt: Changing it gives every user a new position.
    """

    def __init__(self, salt: str) -> None:
        self.salt = salt
        # A blake2b key has at most 64 bytes; a salt may be longer.
        self._keyed = blake2b(digest_size=8, key=blake2b(_bytes(salt)).digest())

    def of(self, user_id: object) -> float:
        """The position of the user `str(user_id)`, so that 7 and "7" are the same user."""
        keyed = self._keyed.copy()
        keyed.update(_bytes(str(user_id)))
        return (int.from_bytes(keyed.digest()) >> (64 - _BITS)) / (1 << _BITS)


def traffic_plan(registry: Registry, location: str) -> TrafficPlan:
    """
    The traffic plan of a registry.

    If no version is in production, the fallback serves instead.

    Raises:
        RegistryError: No version is in production, and there is no usable fallback.
    """
    stand_in, _ = _fallback(registry, "")
    production = _versions_in(registry, VersionStatus.PRODUCTION) or ([stand_in] if stand_in else [])
    if not production:
        raise RegistryError(
            "no version is in production, so there is nothing to route to", location, "promote a version first"
        )
    canaries = _versions_in(registry, VersionStatus.CANARY)
    fallback, faults = _fallback(registry, production[0])
    if len(canaries) > 1:
        faults += (f"there are several canaries; only {canaries[0]} gets traffic",)
    routed = [production[0], *canaries[:1], *([fallback] if fallback else [])]
    routes = [_route(registry, version) for version in routed]
    return TrafficPlan(
        production=routes[0],
        canary=routes[1] if canaries else None,
        fallback=routes[-1] if fallback else None,
        traffic=registry.entries[canaries[0]].traffic if canaries else 0.0,
        decisions={version: _decision_about(registry, version) for version in routed},
        recorded=_recorded(registry, [*canaries[:1], *(production[:1] if fallback else [])]),
        faults=faults,
    )


def _versions_in(registry: Registry, status: VersionStatus) -> list[str]:
    return [version for version, entry in registry.entries.items() if entry.status is status]


def _route(registry: Registry, version: str) -> Route:
    entry = registry.entries[version]
    return Route(version, entry.model_id, entry.base_url)


def _fallback(registry: Registry, production: str) -> tuple[str, tuple[str, ...]]:
    version = registry.rollout.fallback
    if not version or version == production:
        return "", ()
    if version not in registry.entries:
        return "", (f"the fallback {version!r} is not in the registry",)
    if registry.entries[version].status is VersionStatus.REJECTED:
        return "", (f"the fallback {version!r} is rejected",)
    return version, ()


def _decision_about(registry: Registry, version: str) -> VersionDecision:
    entry = registry.entries[version]
    # A version in production cannot be promoted again, so setting the rollout is how a person answers its fallback.
    answers = {"set_rollout"} if entry.status is VersionStatus.PRODUCTION else set()
    decisions = (
        event.seq
        for event in reversed(registry.history)
        if event.action in answers or (event.version == version and event.action != FALLBACK)
    )
    return VersionDecision(entry.status, entry.model_id, entry.traffic, next(decisions, 0))


def _recorded(registry: Registry, versions: list[str]) -> dict[str, int]:
    falls = {event.version: event.seq for event in registry.history if event.action == FALLBACK}
    return {
        version: falls[version]
        for version in versions
        if version in falls and falls[version] > _decision_about(registry, version).seq
    }


def _bytes(text: str) -> bytes:
    # An id may contain an unpaired surrogate, which plain UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")
