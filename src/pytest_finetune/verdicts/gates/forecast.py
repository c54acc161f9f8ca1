"""What each gate will probably say, from its cases and an assumed quality: before any request is paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil, prod
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.bars import limit_of
from pytest_finetune.verdicts.gates.f1_forecast import cases_to_show_f1, f1_chances
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.metrics.shares import CASE_MEANS, SHARES
from pytest_finetune.verdicts.stats.power import (
    POWER,
    Chances,
    binomial_cdf,
    cases_to_show_drop,
    cases_to_show_rate,
    drop_chances,
    rate_chances,
    smallest_visible_drop,
    smallest_visible_rate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.rule import Rule

DISCORDANCE = 0.1
"""Share of the cases that only one of two models passes, where none is given."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """
    What is assumed of a model before it has answered.

    Args:
        expected: The true value of metrics by name; "" for all in which more is better. Others are assumed half-way
            between their bar and the best value.
        drop: How much worse the model truly is than the baseline.
        discordance: Share of the cases that only one of the two passes.
        power: The chance of being settled for which cases are counted, in (0, 1).
        simulations: Number of simulated runs, for F1.
        simulate_sizes: Also simulate how many cases F1 needs, which takes seconds.
    """

    expected: Mapping[str, float] = field(default_factory=dict)
    drop: float = 0.0
    discordance: float = DISCORDANCE
    power: float = POWER
    simulations: int = 400
    simulate_sizes: bool = True


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    What one gate will probably say.

    Args:
        rule: The gate.
        n: Cases that it covers.
        truth: The assumed true value of what it measures; None if it was not planned.
        chances: Of each verdict; None if it was not planned.
        needed: Cases with which it is settled with the assumed power; None if no practical number is enough, or if the
            gate has no confidence.
        visible: The value nearest to the bar that passes with this power; None if none does.
        unplanned: Why there is no forecast, in one clause.
    """

    rule: Rule
    n: int
    truth: float | None = None
    chances: Chances | None = None
    needed: int | None = None
    visible: float | None = None
    unplanned: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """
    What the gates of a set say together, for those that have a forecast.

    Args:
        gates: Their number.
        all_pass: Chance that all pass if they are independent.
        least, most: Bounds of that chance, however much the gates depend on each other.
        some_fails: Chance that at least one fails if they are independent.

    Source: the bounds are those of Fréchet (1935).
    """

    gates: int
    all_pass: float
    least: float
    most: float
    some_fails: float


def forecast_set(eval_set: EvalSet, assumed: Assumptions) -> list[Forecast]:
    """A forecast of each gate of a set, in their order."""
    return [_forecast(rule, eval_set, assumed) for rule in eval_set.settings.judged_by]


def family_of(forecasts: Sequence[Forecast]) -> Family | None:
    """What several gates say together; None for fewer than two with a forecast."""
    chances = [forecast.chances for forecast in forecasts if forecast.chances]
    if len(chances) < 2:  # noqa: PLR2004 - one gate is no family
        return None
    passes = [each.passes for each in chances]
    some_fails = 1 - prod(1 - each.fails for each in chances)
    return Family(len(chances), prod(passes), max(0.0, sum(passes) - len(passes) + 1), min(passes), some_fails)


def _forecast(rule: Rule, eval_set: EvalSet, assumed: Assumptions) -> Forecast:
    cases = [case for case in eval_set.cases if rule.covers(case)]
    n = len(cases)
    if not n:
        return Forecast(rule, 0, unplanned="it covers no case")
    if rule.kind == "max_flips":
        passes = binomial_cdf(int(limit_of(rule)), n, max(0.0, (assumed.discordance + assumed.drop) / 2))
        return Forecast(rule, n, assumed.drop, Chances(passes, 1 - passes))
    if rule.kind == "max_drop":
        return _drop(rule, n, assumed)
    truth = _expected(rule, 1.0 if rule.bar is None else rule.bar, assumed)
    if truth is None:
        return Forecast(
            rule, n, unplanned="only a perfect model passes, and --expect does not say how good this one is"
        )
    if rule.kind == "must_pass":
        return Forecast(rule, n, truth, Chances(truth**n, 1 - truth**n))
    return _bar(rule, cases, truth, eval_set.scorer.expected_label, assumed)


def _bar(
    rule: Rule, cases: Sequence[Case], truth: float, label_of: Callable[[Case], str] | None, assumed: Assumptions
) -> Forecast:
    n = len(cases)
    if rule.metric in (*SHARES, "accuracy_at_coverage"):
        return _rate(rule, n, truth, assumed)
    if rule.metric == "macro_f1" and label_of:
        supports, needed = Counter(map(label_of, cases)), None
        chances = f1_chances(rule, supports, truth, runs=assumed.simulations)
        if assumed.simulate_sizes:
            needed = cases_to_show_f1(rule, supports, truth, runs=assumed.simulations // 2, power=assumed.power)
        return Forecast(rule, n, truth, chances, needed)
    return Forecast(rule, n, unplanned=f"how {rule.metric} varies is not known before a run")


def _rate(rule: Rule, n: int, truth: float, assumed: Assumptions) -> Forecast:
    bar, counted = limit_of(rule), n
    if rule.metric == "accuracy_at_coverage":
        counted = ceil(as_written(rule.coverage) * n)
    # A rate that has to stay within a bar is the complement of one that has to reach it.
    reach, quality = (bar, truth) if rule.upward else (1 - bar, 1 - truth)
    chances = rate_chances(counted, reach, quality, confidence=rule.confidence)
    if rule.confidence is None:
        return Forecast(rule, counted, truth, chances)
    needed = cases_to_show_rate(reach, quality, confidence=rule.confidence, power=assumed.power)
    visible = smallest_visible_rate(counted, reach, confidence=rule.confidence, power=assumed.power)
    shown = visible if visible is None or rule.upward else 1 - visible
    return Forecast(rule, counted, truth, chances, needed, shown)


def _drop(rule: Rule, n: int, assumed: Assumptions) -> Forecast:
    margin = limit_of(rule)
    if rule.metric not in CASE_MEANS:
        return Forecast(rule, n, unplanned=f"a drop of {rule.metric} has no paired interval")
    discordance = max(assumed.discordance, abs(assumed.drop))
    chances = drop_chances(n, margin, assumed.drop, discordance, confidence=rule.confidence)
    if rule.confidence is None:
        return Forecast(rule, n, assumed.drop, chances)
    confidence, power = rule.confidence, assumed.power
    needed = cases_to_show_drop(margin, assumed.drop, discordance, confidence=confidence, power=power)
    visible = smallest_visible_drop(n, margin, discordance, confidence=confidence, power=power)
    return Forecast(rule, n, assumed.drop, chances, needed, visible)


def _expected(rule: Rule, bar: float, assumed: Assumptions) -> float | None:
    """The assumed true value: as given, or half-way from the bar to the best value; None if the bar is that value."""
    if rule.metric in assumed.expected:
        return assumed.expected[rule.metric]
    if rule.upward and "" in assumed.expected:
        return assumed.expected[""]
    best = 1.0 if rule.upward else 0.0
    return None if bar == best else (bar + best) / 2
