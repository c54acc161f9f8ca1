"""What a registry says about traffic, as plain data: who serves, who steps in, and which share goes where."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.errors import RegistryError
from pytest_finetune.registry import Status

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from pytest_finetune.registry import Entry, Event, Registry

FALLBACK = "fallback"
"""The action of an event that says a version has fallen back; it changes no status."""


@dataclass(frozen=True, slots=True)
class Route:
    """
    Where one user's calls go.

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
    """What a person decided about a version. A fallback holds until it changes, and what routers record is no part."""

    status: Status
    model: str
    traffic: float
    seq: int


@dataclass(frozen=True, slots=True)
class Plan:
    """
    How traffic is to be shared while every version is well.

    Args:
        production: Serves everybody whom no canary serves.
        fallback: Steps in for production; None when the registry names none that can.
        canaries: Each with the end of its stretch of the unit interval; the first begins at 0.
        stands: Of each version above.
        recorded: Versions of which the registry says that they fell back, with the number of the event.
        faults: What is wrong with the rollout and is made do without, one clause each.
    """

    production: Route
    fallback: Route | None
    canaries: tuple[tuple[Route, float], ...]
    stands: Mapping[str, Stand]
    recorded: Mapping[str, int]
    faults: tuple[str, ...] = ()

    def main(self, fallen: Container[str]) -> Route:
        """Who serves the bulk of the users: production, or after its fall the fallback."""
        return self.fallback if self.fallback and self.production.version in fallen else self.production


class Table:
    """
    Positions to routes, frozen.

    A stretch that a fallen canary leaves goes to the main version in place, so that no other canary's users move.
    """

    def __init__(self, plan: Plan, fallen: Container[str]) -> None:
        self.main = plan.main(fallen)
        self._ends = tuple(end for _, end in plan.canaries)
        routes = [self.main if route.version in fallen else route for route, _ in plan.canaries]
        self._routes = (*routes, self.main)

    def at(self, position: float) -> Route:
        """The route of a position in [0, 1)."""
        return self._routes[bisect_right(self._ends, position)]


def plan_of(registry: Registry, location: str) -> Plan:
    """
    The plan that a registry describes.

    Canaries lie side by side in the order in which they became canaries, so that a later one moves nobody.

    Raises:
        RegistryError: No version is in production.
    """
    serving = [name for name, entry in registry.entries.items() if entry.status is Status.PRODUCTION]
    if not serving:
        raise RegistryError(
            "no version is in production, so there is nobody to route to", location, "promote a version first"
        )
    production = serving[0]
    fallback, faults = _fallback(registry, production)
    canaries = _stretches(registry)
    if canaries and canaries[-1][1] > 1:
        faults += (f"the canaries' traffic adds up to {canaries[-1][1]:g}, more than there is",)
    last = {event.version: event for event in registry.history}
    routed = {production, *(route.version for route, _ in canaries), *([fallback.version] if fallback else [])}
    return Plan(
        production=_route(registry, production),
        fallback=fallback,
        canaries=canaries,
        stands={name: _stand(registry.entries[name], name, registry.history) for name in routed},
        recorded={name: last[name].seq for name in routed if name in last and last[name].action == FALLBACK},
        faults=faults,
    )


def _stretches(registry: Registry) -> tuple[tuple[Route, float], ...]:
    since = {
        event.version: event.seq
        for event in registry.history
        if event.after is Status.CANARY and event.before is not Status.CANARY
    }
    canaries = [name for name, entry in registry.entries.items() if entry.status is Status.CANARY]
    end, stretches = 0.0, []
    for name in sorted(canaries, key=lambda name: (since.get(name, 0), name)):
        end += registry.entries[name].traffic
        stretches.append((_route(registry, name), end))
    return tuple(stretches)


def _fallback(registry: Registry, production: str) -> tuple[Route | None, tuple[str, ...]]:
    name = registry.rollout.fallback
    if not name or name == production:
        return None, ()
    if name not in registry.entries:
        return None, (f"the fallback {name!r} is not in the registry",)
    if registry.entries[name].status is Status.REJECTED:
        return None, (f"the fallback {name!r} is rejected",)
    return _route(registry, name), ()


def _route(registry: Registry, version: str) -> Route:
    entry = registry.entries[version]
    return Route(version, entry.model_id, entry.base_url)


def _stand(entry: Entry, version: str, history: tuple[Event, ...]) -> Stand:
    seq = max((event.seq for event in history if event.version == version and event.action != FALLBACK), default=0)
    return Stand(entry.status, entry.model_id, entry.traffic, seq)
