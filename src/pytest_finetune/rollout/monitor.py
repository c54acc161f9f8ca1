"""Outcomes in, alarms out: which version has to step down, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.rollout.sequential import OverBudget, WorseThanProduction
from pytest_finetune.rollout.window import ErrorRate

if TYPE_CHECKING:
    from collections.abc import Container

    from pytest_finetune.registry import Rollout
    from pytest_finetune.rollout.routing import Plan, Route
    from pytest_finetune.rollout.window import Counts


@dataclass(frozen=True, slots=True)
class Alarm:
    """A version is to step down; `to` is None where nobody can step in, `why` one clause for people."""

    version: str
    to: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How one version fares at the moment.

    Args:
        version: Its name in the registry.
        model: Its id on the wire.
        role: `production`, `canary` or `fallback`.
        fallen: It has stepped down: none of its users are routed to it.
        calls: Calls reported within the window.
        failed: How many of them failed.
        latency: Mean seconds of those that were timed; None when none was.
        evidence: Of its test; it steps down at 1 / false_alarm_rate. None for a version that is not tested.
    """

    version: str
    model: str
    role: str
    fallen: bool
    calls: int
    failed: int
    latency: float | None
    evidence: float | None


class Monitor:
    """
    The windows and tests of one plan. Not safe in threads; the router holds a lock around it.

    Args:
        false_alarm_rate: Of each test, over the whole time that it watches one canary against one main version, or
            one production version.
    """

    def __init__(self, false_alarm_rate: float) -> None:
        self._rate = false_alarm_rate
        self._windows: dict[Route, ErrorRate] = {}
        self._worse: dict[tuple[Route, Route], WorseThanProduction] = {}
        self._over: dict[tuple[Route, float], OverBudget] = {}

    def follow(self, plan: Plan, rollout: Rollout, fallen: Container[str]) -> None:
        """Watch this plan from now on; what is known of a version that stays is kept."""
        self._plan, self._rollout, self._main = plan, rollout, plan.main(fallen)
        routes = [plan.production, *(route for route, _ in plan.canaries), *([plan.fallback] if plan.fallback else [])]
        self._routes = {route.version: route for route in routes}
        self._fallen = {version for version in self._routes if version in fallen}
        self._windows = {route: self._window(route) for route in routes}
        pairs = [(route, self._main) for route, _ in plan.canaries if route.version not in fallen]
        self._worse = {pair: self._worse.get(pair) or WorseThanProduction(self._rate) for pair in pairs}
        watched = [(plan.production, rollout.error_budget)] if plan.production.version not in fallen else []
        self._over = {key: self._over.get(key) or OverBudget(key[1], self._rate) for key in watched}

    def version_of(self, model: str) -> str | None:
        """The version that a model id belongs to; where several share it, the one that serves most users."""
        if model == self._main.model:
            return self._main.version
        return next((version for version, route in self._routes.items() if route.model == model), None)

    def report(self, version: str, now: float, *, ok: bool, latency: float | None) -> list[Alarm]:
        """Take in one call; a version that is not in the plan any more is nobody's concern."""
        route = self._routes.get(version)
        if route is None:
            return []
        main_rate = self._windows[self._main].estimate(now)
        self._windows[route].add(now, ok=ok, latency=latency)
        alarms = []
        for (canary, main), test in self._worse.items():
            if route in {canary, main}:
                test.add(canary=route == canary, ok=ok, production_rate=main_rate)
                if test.alarmed:
                    alarms.append(self._canary_alarm(canary, now))
        for (production, budget), over in self._over.items():
            if route == production:
                over.add(ok=ok)
                recent = self._windows[route].at(now)
                if over.alarmed and recent.failed > budget * recent.calls:
                    alarms.append(self._production_alarm(recent))
        return alarms

    def standings(self, now: float) -> tuple[Standing, ...]:
        """How every version of the plan fares."""
        return tuple(self._standing(route, now) for route in self._routes.values())

    def _standing(self, route: Route, now: float) -> Standing:
        recent = self._windows[route].at(now)
        canaries = {canary for canary, _ in self._plan.canaries}
        role = "production" if route == self._plan.production else "canary" if route in canaries else "fallback"
        tests = [test.evidence for (canary, _), test in self._worse.items() if canary == route]
        tests += [over.evidence for (production, _), over in self._over.items() if production == route]
        return Standing(
            version=route.version,
            model=route.model,
            role=role,
            fallen=route.version in self._fallen,
            calls=recent.calls,
            failed=recent.failed,
            latency=recent.seconds / recent.timed if recent.timed else None,
            evidence=tests[0] if tests else None,
        )

    def _window(self, route: Route) -> ErrorRate:
        window = self._windows.get(route)
        return window if window and window.seconds == self._rollout.window else ErrorRate(self._rollout.window)

    def _canary_alarm(self, canary: Route, now: float) -> Alarm:
        own, main = self._windows[canary].at(now), self._windows[self._main].at(now)
        why = (
            f"{_failed(own)} in the last {self._rollout.window:g} s, against {_failed(main)} of {self._main.version} "
            f"({self._main.model}): significantly worse, at a false-alarm rate of {self._rate:g}"
        )
        return Alarm(canary.version, self._main.version, why)

    def _production_alarm(self, recent: Counts) -> Alarm:
        why = (
            f"{_failed(recent)} in the last {self._rollout.window:g} s: over the error budget of "
            f"{self._rollout.error_budget:g}, at a false-alarm rate of {self._rate:g}"
        )
        fallback = self._plan.fallback
        return Alarm(self._plan.production.version, fallback.version if fallback else None, why)


def _failed(counts: Counts) -> str:
    return f"{counts.failed} of {counts.calls} calls failed"
