"""Turns reported calls into alarms about versions that must stop serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.rollout.sequential import OverBudget, WorseThanProduction
from pytest_finetune.lifecycle.rollout.window import ErrorRate

if TYPE_CHECKING:
    from collections.abc import Container

    from pytest_finetune.lifecycle.registry import Rollout
    from pytest_finetune.lifecycle.rollout.routing import Route, TrafficPlan
    from pytest_finetune.lifecycle.rollout.window import Counts


RECENT = 1 / 60
"""Share of the window in which production must also be over its error budget for an alarm."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A version must be replaced by another, or by none if there is no fallback; `why` is a clause for people."""

    version: str
    to: str | None
    why: str


@dataclass(frozen=True, slots=True)
class VersionHealth:
    """
    The current health of one version.

    Args:
        version: Version name in the registry.
        model: Model id on the wire.
        role: `production`, `canary` or `fallback`.
        fallen: It has fallen back, and no user is routed to it.
        calls: Calls reported within the window.
        failed: Number of failed calls among them.
        latency: Mean latency in seconds of the calls that reported one; None if none did.
        evidence: E-value of its test; it falls back when this reaches 1 / false_alarm_rate. None if it is not tested.
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
    The error rates and sequential tests of one traffic plan. Not thread-safe; the router holds a lock around it.

    Args:
        false_alarm_rate: Probability of a false alarm of each test, however long it tests the same versions.
    """

    _plan: TrafficPlan
    _rollout: Rollout
    _main: Route
    _fallen: frozenset[str]

    def __init__(self, false_alarm_rate: float) -> None:
        self._rate = false_alarm_rate
        self._by_model: dict[str, Route] = {}
        self._windows: dict[Route, ErrorRate] = {}
        self._worse: dict[tuple[Route, Route], WorseThanProduction] = {}
        self._over: dict[tuple[Route, float], OverBudget] = {}
        self._recent: dict[Route, ErrorRate] = {}

    def follow(self, plan: TrafficPlan, rollout: Rollout, fallen: Container[str]) -> None:
        """Monitor this plan from now on; windows and tests of unchanged versions continue."""
        self._plan, self._rollout, self._main = plan, rollout, plan.main(fallen)
        self._fallen = frozenset(version for version in plan.decisions if version in fallen)
        self._windows = {route: self._window(route) for route in plan.routes}
        self._by_model = {route.model: route for route in (*reversed(plan.routes), self._main)}
        trial, production = plan.trial(fallen), plan.production
        pairs = [(trial, self._main)] if trial else []
        self._worse = {pair: self._worse.get(pair) or WorseThanProduction(self._rate) for pair in pairs}
        held = [(production, rollout.error_budget)] if production.version not in self._fallen else []
        if trial and plan.traffic >= 1:
            # It serves all users, so there is no other traffic to compare it with: test it against the error budget.
            held.append((trial, rollout.error_budget))
        self._over = {key: self._over.get(key) or OverBudget(key[1], self._rate) for key in held}
        # Losing its content is harmless: it fills again within seconds.
        self._recent = {route: ErrorRate(rollout.window * RECENT) for route, _ in held}

    def forget(self, versions: Container[str]) -> None:
        """Drop the windows and tests of these versions; the next `follow` starts new ones."""
        self._windows = {route: window for route, window in self._windows.items() if route.version not in versions}
        self._worse = {pair: test for pair, test in self._worse.items() if pair[0].version not in versions}
        self._over = {key: test for key, test in self._over.items() if key[0].version not in versions}

    def route_of(self, model: str) -> Route | None:
        """The route of a model id; if several versions share it, the one that serves most users."""
        return self._by_model.get(model)

    def report(self, route: Route, now: float, *, ok: bool, latency: float | None) -> list[Alarm]:
        """Process one call; a call of a version that is no longer in the plan is ignored."""
        if route not in self._windows:
            return []
        usual = self._windows[self._main].estimate(now)
        self._windows[route].add(now, ok=ok, latency=latency)
        return [*self._compare(route, now, ok=ok, usual=usual), *self._charge(route, now, ok=ok)]

    def health(self, now: float) -> tuple[VersionHealth, ...]:
        """The health of every version in the plan."""
        return tuple(self._health_of(route, self._windows[route].at(now)) for route in self._plan.routes)

    def _compare(self, route: Route, now: float, *, ok: bool, usual: float) -> list[Alarm]:
        alarms = []
        for (canary, main), test in self._worse.items():
            if route in {canary, main}:
                test.add(canary=route == canary, ok=ok, production_rate=usual)
                if test.alarmed:
                    alarms.append(self._canary_alarm(canary, now))
        return alarms

    def _charge(self, route: Route, now: float, *, ok: bool) -> list[Alarm]:
        """
        Test one call against the error budget.

        An alarm needs both a significant test and a recent error rate over the budget: with many calls, a hiccup of
        milliseconds is significant but no reason to fall back.
        """
        alarms = []
        for (held, budget), test in self._over.items():
            if route == held:
                test.add(ok=ok)
                self._recent[held].add(now, ok=ok)
                recent = self._recent[held].at(now)
                if test.alarmed and recent.failed > budget * recent.calls:
                    alarms.append(self._budget_alarm(held, recent))
        return alarms

    def _window(self, route: Route) -> ErrorRate:
        window = self._windows.get(route)
        return window if window and window.seconds == self._rollout.window else ErrorRate(self._rollout.window)

    def _canary_alarm(self, canary: Route, now: float) -> Alarm:
        own, main = self._windows[canary].at(now), self._windows[self._main].at(now)
        why = (
            f"{_failures(own)} in the last {self._rollout.window:g} s; of {self._main.version}, {_failures(main)}: "
            f"significantly worse, at a false-alarm rate of {self._rate:g}"
        )
        return Alarm(canary.version, self._main.version, why)

    def _budget_alarm(self, held: Route, recent: Counts) -> Alarm:
        why = (
            f"{_failures(recent)} in the last {self._recent[held].seconds:g} s: significantly over the error budget of "
            f"{self._rollout.error_budget:g}, at a false-alarm rate of {self._rate:g}"
        )
        if held != self._plan.production:
            return Alarm(held.version, self._main.version, why)
        fallback = self._plan.fallback
        return Alarm(self._plan.production.version, fallback.version if fallback else None, why)

    def _health_of(self, route: Route, recent: Counts) -> VersionHealth:
        tests = [test.evidence for (canary, _), test in self._worse.items() if canary == route]
        tests += [test.evidence for (production, _), test in self._over.items() if production == route]
        return VersionHealth(
            version=route.version,
            model=route.model,
            role=self._role(route),
            fallen=route.version in self._fallen,
            calls=recent.calls,
            failed=recent.failed,
            latency=recent.seconds / recent.timed if recent.timed else None,
            evidence=max(tests, default=None),
        )

    def _role(self, route: Route) -> str:
        if route == self._plan.production:
            return "production"
        return "canary" if route == self._plan.canary else "fallback"


def _failures(counts: Counts) -> str:
    return f"{counts.failed} of {counts.calls} calls failed"
