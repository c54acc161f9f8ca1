"""What one gate will probably say, and what several do together: independent ones, and those that share a level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from random import Random
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.power import Chances

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.verdicts.rule import Rule

_SEED, _RUNS = 1, 4000


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    What one gate will probably say.

    Args:
        rule: The gate.
        n: Cases that it covers.
        worth: Independent cases that they are worth; fewer than `n` if cases are in groups.
        truth: The assumed true value of what it measures; None if it was not planned.
        chances: Of each verdict; None if it was not planned.
        needed: Cases with which it is settled with the assumed power; None if no practical number is enough, or if the
            gate has no confidence.
        visible: The value nearest to the bar that passes with this power; None if none does.
        unplanned: Why there is no forecast, in one clause.
        fixed: Of a sequential gate: the chances of the same gate if all cases are asked; None for others.
        asked: Of a sequential gate: how many of its cases are asked on average, until it is decided; None for others.
        shares: With a family: the chances at the level divided by 1, 2, … as many gates as share it; else empty.
    """

    rule: Rule
    n: int
    worth: int
    truth: float | None = None
    chances: Chances | None = None
    needed: int | None = None
    visible: float | None = None
    unplanned: str = ""
    shares: tuple[Chances, ...] = ()
    fixed: Chances | None = None
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """
    What the gates of a set say together, for those that have a forecast.

    Args:
        gates: Their number.
        all_pass: Chance that all pass if their evidence is independent.
        least, most: Bounds of that chance, however much the gates depend on each other.
        some_fails: Chance that at least one fails if their evidence is independent.

    Source: the bounds are those of Fréchet (1935).
    """

    gates: int
    all_pass: float
    least: float
    most: float
    some_fails: float


def family_of(forecasts: Sequence[Forecast]) -> Family | None:
    """What several gates say together; None for fewer than two with a forecast."""
    known = [forecast for forecast in forecasts if forecast.chances]
    if len(known) < 2:  # noqa: PLR2004 - one gate is no family
        return None
    passes = [forecast.chances.passes for forecast in known if forecast.chances]
    alone = [forecast.chances for forecast in known if forecast.chances and not forecast.shares]
    together = [_Together.of([known[at].shares for at in members]) for members in _families(known).values()]
    all_pass = prod(one.passes for one in alone) * prod(each.all_pass for each in together)
    none_fails = prod(1 - one.fails for one in alone) * prod(each.none_fails for each in together)
    return Family(len(known), all_pass, max(0.0, sum(passes) - len(passes) + 1), min(passes), 1 - none_fails)


def with_shared_levels(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """The forecasts with the chances that gates have in their families, as far as their evidence is independent."""
    found = list(forecasts)
    for (family, scorer), members in _families(found).items():
        first = [
            one.chances.passes if one.chances else 0.0
            for one in found
            if (one.rule.family, one.rule.scorer) == (family, scorer) and not one.shares
        ]
        reached = prod(first) if family == "hierarchy" else 1.0
        for at, chances in zip(members, _Together.of([found[at].shares for at in members]).each, strict=True):
            found[at] = replace(found[at], chances=Chances(chances.passes * reached, chances.fails * reached))
    return found


def _families(forecasts: Sequence[Forecast]) -> dict[tuple[str, str], list[int]]:
    """The places of the gates that share a level, by family and scorer."""
    found: dict[tuple[str, str], list[int]] = {}
    for at, one in enumerate(forecasts):
        if one.shares and one.chances:
            found.setdefault((one.rule.family, one.rule.scorer), []).append(at)
    return found


@dataclass(frozen=True, slots=True)
class _Together:
    """The chance that all of some gates pass, that none fails, and those of each, by simulated step-downs."""

    all_pass: float
    none_fails: float
    each: tuple[Chances, ...]

    @classmethod
    def of(cls, shares: Sequence[Sequence[Chances]]) -> _Together:
        """For gates with these chances at the level divided by 1, 2, …; the draws are the same in every call."""
        outcomes = list(_outcomes(shares))
        each = tuple(
            Chances(*(sum(at in outcome[side] for outcome in outcomes) / _RUNS for side in (0, 1)))
            for at in range(len(shares))
        )
        all_pass = sum(len(passed) == len(shares) for passed, _ in outcomes)
        return cls(all_pass / _RUNS, sum(not failed for _, failed in outcomes) / _RUNS, each)


def _outcomes(shares: Sequence[Sequence[Chances]]) -> Iterator[tuple[set[int], set[int]]]:
    """Of each simulated run, which gates pass and which fail."""
    rng = Random(_SEED)  # noqa: S311 - a simulation
    for _ in range(_RUNS):
        # How good the evidence of a gate is, from 0 for the best: it passes at a level with a chance above this.
        quality = [rng.random() for _ in shares]
        yield (
            _rejected([[one.passes > drawn for one in gate] for gate, drawn in zip(shares, quality, strict=True)]),
            _rejected([[one.fails > 1 - drawn for one in gate] for gate, drawn in zip(shares, quality, strict=True)]),
        )


def _rejected(rejected_at: Sequence[Sequence[bool]]) -> set[int]:
    """Holm's step-down, given whether each hypothesis is rejected at the level divided by 1, 2, … gates."""
    found: set[int] = set()
    while len(found) < len(rejected_at):
        divisor = len(rejected_at) - len(found)
        new = {at for at, each in enumerate(rejected_at) if at not in found and each[divisor - 1]}
        if not new:
            break
        found |= new
    return found
