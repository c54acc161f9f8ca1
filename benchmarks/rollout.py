"""
The router, measured: what a call costs, how exact a share is, how often alarms are false, how long a bad canary lives.

    python benchmarks/rollout.py --lives 1000 --seed 1

takes about three minutes, and ends with exit code 1 if a false-alarm rate is significantly over what is promised.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from pytest_finetune import ModelRouter
from pytest_finetune.lifecycle.registry import Change, Entry, Rollout, open_registry
from pytest_finetune.lifecycle.rollout.routing import UserPositions
from pytest_finetune.lifecycle.rollout.sequential import OverBudget, WorseThanProduction
from pytest_finetune.verdicts.stats import rate_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FALSE_ALARM_RATE = 0.01
USERS = 10_000
CALLS_PER_SECOND = 20

Rate = Callable[[int], float]
"""The chance to fail of the call with this number."""


class Clock:
    """Simulated seconds."""

    now = 0.0

    def __call__(self) -> float:
        """The simulated present."""
        return self.now


def main() -> None:
    arguments = _arguments()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "registry.json")
        write_registry(path)
        speed(path)
        spread()
        broken = false_alarms(arguments.lives, arguments.seed)
        bad_canaries(path, arguments.runs, arguments.seed)
        calls_to_leave(arguments.lives, arguments.seed)
        bad_productions(path, arguments.runs, arguments.seed)
    sys.exit(f"false alarms over the promise: {', '.join(broken)}" if broken else 0)


def write_registry(path: Path) -> None:
    """v1 before, v2 in production, v3 a canary for a tenth of the users."""
    now = datetime.now(UTC)
    backend = open_registry(path)

    def step(action: str, version: str = "", **details: Any) -> None:
        backend.update(Change(action, version, "benchmark", **details), now=now)

    for version in ("v1", "v2", "v3"):
        step("add", version, entry=Entry(model_id=f"ft:gpt-4.1-mini:acme::{version}", created_at=now))
    step("promote", "v1")
    step("promote", "v2")
    step("canary", "v3", traffic=0.1)
    step("set_rollout", rollout=Rollout(fallback="v1"))


def speed(path: Path) -> None:
    router = ModelRouter.from_registry(path)
    users = [f"user-{number}" for number in range(100_000)]
    model = router.model_for("user-1")
    started = time.perf_counter()
    for user in users:
        router.model_for(user)
    routed = time.perf_counter()
    for number in range(len(users)):
        router.report(model, ok=number % 50 > 0, latency=0.4)
    reported = time.perf_counter()
    rows = [("model_for", routed - started), ("report", reported - routed)]
    table("Cost of a call", ("", "µs"), [(name, f"{seconds / len(users) * 1e6:.1f}") for name, seconds in rows])


def spread() -> None:
    rows = []
    names = {"user-N": "user-{}", "N": "{}", "e-mail": "{:08d}@example.org"}
    for share in (0.01, 0.1, 0.2, 0.5):
        for title, name in names.items():
            positions = UserPositions("pytest-finetune")
            served = sum(positions.of(name.format(number)) < share for number in range(100_000))
            rows.append((f"{share:.0%}", title, f"{served / 1000:.2f} %", f"{served / 1000 - share * 100:+.2f}"))
    table("A share of 100,000 ids", ("share", "ids", "served", "off, points"), rows)


@dataclass(frozen=True)
class World:
    """Calls that both versions fail alike; where `clustered`, one user in a hundred has a prompt that always fails."""

    name: str
    rate: Rate
    traffic: float
    clustered: bool = False
    promised: bool = True


def outages(number: int) -> float:
    """Everything fails for 50 calls of each 1,000."""
    return 0.95 if number % 1000 >= 950 else 0.02


WORLDS = (
    World("2 % fail", lambda _: 0.02, 0.1),
    World("2 % fail", lambda _: 0.02, 0.01),
    World("2 % fail", lambda _: 0.02, 0.5),
    World("20 % fail", lambda _: 0.2, 0.1),
    World("0.1 % fail", lambda _: 0.001, 0.1),
    World("outages that hit both", outages, 0.1),
    World("1 % fail, and 1 % of users always", lambda _: 0.01, 0.1, clustered=True, promised=False),
)


def false_alarms(lives: int, seed: int, calls: int = 5000) -> list[str]:
    """Print how often a version that is well is called bad; the names of what is over the promise."""
    rng, rows, broken = Random(seed), [], []
    for world in WORLDS:
        alarms = sum(canary_life(rng, world, calls) for _ in range(lives))
        rows.append((world.name, f"{world.traffic:.0%}", f"{alarms} of {lives}", f"{alarms / lives:.2%}"))
        if world.promised and rate_interval(alarms, lives).low > FALSE_ALARM_RATE:
            broken.append(world.name)
    for rate in (0.1, 0.08, 0.02):
        alarms = sum(production_life(rng, rate, calls) for _ in range(lives))
        name = f"{rate:.0%} fail, budget 10 %"
        rows.append((name, "", f"{alarms} of {lives}", f"{alarms / lives:.2%}"))
        if rate_interval(alarms, lives).low > FALSE_ALARM_RATE:
            broken.append(name)
    title = f"False alarms in {calls:,} calls, at most {FALSE_ALARM_RATE:.0%} promised"
    table(title, ("all alike", "canary", "lives", "share"), rows)
    return broken


def canary_life(rng: Random, world: World, calls: int) -> bool:
    test, asked, failures = WorseThanProduction(FALSE_ALARM_RATE), 0, 0
    bad = {user for user in range(1000) if rng.random() < 0.01} if world.clustered else set()
    canary_users = {user for user in range(1000) if rng.random() < world.traffic}
    for number in range(calls):
        user = rng.randrange(1000)
        canary = user in canary_users if world.clustered else rng.random() < world.traffic
        failed = user in bad or rng.random() < world.rate(number)
        test.add(canary=canary, ok=not failed, production_rate=(failures + 1) / (asked + 20))
        if test.alarmed:
            return True
        if not canary:
            asked, failures = asked + 1, failures + failed
    return False


def production_life(rng: Random, rate: float, calls: int) -> bool:
    test = OverBudget(0.1, FALSE_ALARM_RATE)
    for _ in range(calls):
        test.add(ok=rng.random() >= rate)
        if test.alarmed:
            return True
    return False


def bad_canaries(path: Path, runs: int, seed: int) -> None:
    """Print who met a canary that fails more than production's 2 %, and for how long, until the router gave it up."""
    rng, rows = Random(seed), []
    cases = [("2 %", rate, 0) for rate in (1.0, 0.5, 0.2, 0.1)] + [("2 %, after a good hour", 1.0, 3600)]
    for name, rate, healthy in cases:
        lives = [bad_canary(path, rng, rate, healthy) for _ in range(runs if not healthy else max(3, runs // 10))]
        rows.append((name, f"{rate:.0%}", *(spread_of(column) for column in zip(*lives, strict=True))))
    title = (
        f"A bad canary at 10 % of {USERS:,} users, {CALLS_PER_SECOND} calls a second: until it was left, median (95 %)"
    )
    head = ("production fails", "canary fails", "users who met it", "who saw a failure", "its calls", "seconds")
    table(title, head, rows)


def bad_canary(path: Path, rng: Random, rate: float, healthy: float) -> tuple[float, float, float, float]:
    clock = Clock()
    router = ModelRouter.from_registry(path, clock=clock, poll=1e9, false_alarm_rate=FALSE_ALARM_RATE)
    met: set[int] = set()
    hurt: set[int] = set()
    calls = 0
    while not fallen(router, "canary"):
        clock.now += rng.expovariate(CALLS_PER_SECOND)
        user = rng.randrange(USERS)
        route = router.route_for(user)
        trial, bad = route.version == "v3", clock.now > healthy
        ok = rng.random() >= (rate if trial and bad else 0.02)
        if trial and bad:
            met.add(user)
            calls += 1
            if not ok:
                hurt.add(user)
        router.report_route(route, ok=ok, latency=0.4)
    return len(met), len(hurt), calls, clock.now - healthy


def calls_to_leave(lives: int, seed: int) -> None:
    """Print how many calls the tests need, and how long those take; the same ones at every pace."""
    rng, rows = Random(seed), []
    cases: list[tuple[str, Callable[[], int]]] = [
        ("canary at 10 %, dead from the start", lambda: canary_calls(rng, 0)),
        ("canary at 10 %, dead after 10,000 calls", lambda: canary_calls(rng, 10_000)),
        ("production, dead from the start", lambda: production_calls(rng, 0)),
        ("production, dead after 10,000 calls", lambda: production_calls(rng, 10_000)),
    ]
    for name, calls_of in cases:
        needed = [calls_of() for _ in range(max(3, lives // 20))]
        paces = (spread_of([calls / pace for calls in needed]) for pace in (20, 100, 1000))
        rows.append((name, spread_of(needed), *paces))
    head = ("", "calls of all", "s at 20 a second", "s at 100", "s at 1,000")
    table("What the tests need, median (95 %)", head, rows)


def canary_calls(rng: Random, healthy: int) -> int:
    test, number = WorseThanProduction(FALSE_ALARM_RATE), 0
    while not test.alarmed:
        number += 1
        canary = rng.random() < 0.1
        rate = 1.0 if canary and number > healthy else 0.02
        test.add(canary=canary, ok=rng.random() >= rate, production_rate=0.02)
    return number - healthy


def production_calls(rng: Random, healthy: int) -> int:
    test, number = OverBudget(0.1, FALSE_ALARM_RATE), 0
    while not test.alarmed:
        number += 1
        test.add(ok=number <= healthy and rng.random() >= 0.02)
    return number - healthy


def bad_productions(path: Path, runs: int, seed: int) -> None:
    """Print how long a production that turns bad after 12,000 good calls keeps its users."""
    rng, rows = Random(seed), []
    for pace in (20, 100, 1000):
        for rate in (1.0, 0.5, 0.2):
            lives = [bad_production(path, rng, rate, pace) for _ in range(max(3, runs // 5))]
            seconds, calls = zip(*lives, strict=True)
            rows.append((f"{pace:,}", f"{rate:.0%}", spread_of(calls), spread_of(seconds)))
    head = ("calls a second", "production fails", "calls", "seconds")
    table("A production over its budget of 10 %: until it was left, median (95 %)", head, rows)


def bad_production(path: Path, rng: Random, rate: float, pace: int) -> tuple[float, int]:
    clock, calls, healthy = Clock(), 0, 12_000 / pace
    router = ModelRouter.from_registry(path, clock=clock, poll=1e9, false_alarm_rate=FALSE_ALARM_RATE)
    main = router.main_route()
    while router.main_route() == main:
        clock.now += rng.expovariate(pace)
        bad = clock.now > healthy
        calls += bad
        router.report_route(main, ok=rng.random() >= (rate if bad else 0.02))
    return clock.now - healthy, calls


def fallen(router: ModelRouter, role: str) -> bool:
    return next(standing.fallen for standing in router.status() if standing.role == role)


def spread_of(values: Iterable[float]) -> str:
    cuts = quantiles(values, n=20, method="inclusive")
    return f"{cuts[9]:.3g} ({cuts[18]:.3g})"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=1000, help="simulated rollouts of each row of false alarms")
    parser.add_argument("--runs", type=int, default=200, help="simulated bad versions of each row")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
