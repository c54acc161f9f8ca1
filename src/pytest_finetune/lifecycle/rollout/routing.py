"""What a registry says about traffic, as plain data: who serves, who steps in, and who goes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry import Status

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from pytest_finetune.lifecycle.registry import Registry

FALLBACK = "fallback"
"""The action of an event that says a version has fallen back; it changes no status."""


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where a user's calls go.

    Args:
        version: The name in the registry.
        model: The id on the wire.
        base_url: The version's own server; empty for the client's.
    """

    version: str
    model: str
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Stand:
    """What people decided about a version, routers apart; `seq` is the event of the last decision, 0 for none."""

    status: Status
    model: str
    traffic: float
    seq: int


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How traffic is to be shared while every version is well.

    Args:
        production: Serves everybody whom the canary does not.
        canary: Serves the users whose position lies below its `traffic`; None when there is none.
        fallback: Steps in for production; None when the registry names none that can.
        stands: Of each version above.
        recorded: Versions of which the registry says that they fell back, with the number of the event, where nobody
            decided anything about them since and somebody can step in.
        faults: What is wrong with the rollout and is made do without, one clause each.
    """

    production: Route
    canary: Route | None
    fallback: Route | None
    traffic: float
    stands: Mapping[str, Stand]
    recorded: Mapping[str, int]
    faults: tuple[str, ...] = ()

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every version that serves or may come to; none twice."""
        return tuple(dict.fromkeys(route for route in (self.production, self.canary, self.fallback) if route))

    def main(self, fallen: Container[str]) -> Route:
        """Who serves the bulk of the users: production, or after its fall the fallback."""
        return self.fallback if self.fallback and self.production.version in fallen else self.production

    def trial(self, fallen: Container[str]) -> Route | None:
        """The canary, unless it has fallen."""
        return self.canary if self.canary and self.canary.version not in fallen else None


def plan_of(registry: Registry, location: str) -> Plan:
    """
    The plan that a registry describes.

    Where production was taken out of use, the fallback serves in its place.

    Raises:
        RegistryError: No version is in production, and no fallback can serve.
    """
    stand_in, _ = _fallback(registry, "")
    production = _holders(registry, Status.PRODUCTION) or ([stand_in] if stand_in else [])
    if not production:
        raise RegistryError(
            "no version is in production, so there is nobody to route to", location, "promote a version first"
        )
    canaries = _holders(registry, Status.CANARY)
    fallback, faults = _fallback(registry, production[0])
    if len(canaries) > 1:
        faults += (f"there is more than one canary, and only {canaries[0]} gets traffic",)
    routed = [production[0], *canaries[:1], *([fallback] if fallback else [])]
    routes = [_route(registry, version) for version in routed]
    return Plan(
        production=routes[0],
        canary=routes[1] if canaries else None,
        fallback=routes[-1] if fallback else None,
        traffic=registry.entries[canaries[0]].traffic if canaries else 0.0,
        stands={version: _stand(registry, version) for version in routed},
        recorded=_recorded(registry, [*canaries[:1], *(production[:1] if fallback else [])]),
        faults=faults,
    )


def _holders(registry: Registry, status: Status) -> list[str]:
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
    if registry.entries[version].status is Status.REJECTED:
        return "", (f"the fallback {version!r} is rejected",)
    return version, ()


def _stand(registry: Registry, version: str) -> Stand:
    entry = registry.entries[version]
    # No step of the registry leads from production to production: setting the rollout is how a person answers its fall.
    answers = {"set_rollout"} if entry.status is Status.PRODUCTION else set()
    decisions = (
        event.seq
        for event in reversed(registry.history)
        if event.action in answers or (event.version == version and event.action != FALLBACK)
    )
    return Stand(entry.status, entry.model_id, entry.traffic, next(decisions, 0))


def _recorded(registry: Registry, versions: list[str]) -> dict[str, int]:
    falls = {event.version: event.seq for event in registry.history if event.action == FALLBACK}
    return {
        version: falls[version]
        for version in versions
        if version in falls and falls[version] > _stand(registry, version).seq
    }
