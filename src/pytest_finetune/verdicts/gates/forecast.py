"""What each gate will probably say, from its cases and an assumed quality: before any request is paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
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
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.rule import Rule

DISCORDANCE = 0.1
"""Share of the cases that only one of two models passes, where none is given."""


LIKENESS = 0.5
"""Correlation of the results of cases in one group, where none is given."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """
    What is assumed of a model before it has answered.

    Args:
        expected: The true value of metrics by name; "" for all in which more is better. Others are assumed half-way
            between their bar and the best value.
        drop: How much worse the model truly is than the baseline.
        discordance: Share of the cases that only one of the two passes.
        likeness: Correlation of the results of cases in one group, in [0, 1].
        power: The chance of being settled for which cases are counted, in (0, 1).
        simulations: Number of simulated runs, for F1.
        simulate_sizes: Also simulate how many cases F1 needs, which takes seconds.
    """

    expected: Mapping[str, float] = field(default_factory=dict)
    drop: float = 0.0
    discordance: float = DISCORDANCE
    likeness: float = LIKENESS
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
        worth: Independent cases that they are worth; fewer than `n` if cases are in groups.
        truth: The assumed true value of what it measures; None if it was not planned.
        chances: Of each verdict; None if it was not planned.
        needed: Cases with which it is settled with the assumed power; None if no practical number is enough, or if the
            gate has no confidence.
        visible: The value nearest to the bar that passes with this power; None if none does.
        unplanned: Why there is no forecast, in one clause.
    """

    rule: Rule
    n: int
    worth: int
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
    n, effect = len(cases), _design_effect(cases, assumed.likeness)
    empty = Forecast(rule, n, round(n / effect))
    if not n:
        return replace(empty, unplanned="it covers no case")
    if rule.kind == "max_flips":
        passes = binomial_cdf(int(limit_of(rule)), n, max(0.0, (assumed.discordance + assumed.drop) / 2))
        return replace(empty, truth=assumed.drop, chances=Chances(passes, 1 - passes))
    return _drop(empty, effect, assumed) if rule.kind == "max_drop" else _bar(empty, cases, eval_set, effect, assumed)


def _bar(empty: Forecast, cases: Sequence[Case], eval_set: EvalSet, effect: float, assumed: Assumptions) -> Forecast:
    rule, label_of = empty.rule, eval_set.scorer.expected_label
    truth = _expected(rule, 1.0 if rule.bar is None else rule.bar, assumed)
    if truth is None:
        return replace(empty, unplanned="only a perfect model is sure to pass; --expect assumes another")
    empty = replace(empty, truth=truth)
    if rule.kind == "must_pass":
        return replace(empty, chances=Chances(truth**empty.n, 1 - truth**empty.n))
    if rule.metric in (*SHARES, "accuracy_at_coverage"):
        return _rate(empty, truth, effect, assumed)
    if rule.metric in ("macro_f1", "weighted_f1") and label_of:
        return _mean_f1(empty, Counter(map(label_of, cases)), truth, effect, assumed)
    return replace(empty, truth=None, unplanned=f"how {rule.metric} varies is not known before a run")


def _design_effect(cases: Sequence[Case], likeness: float) -> float:
    """How many cases are worth one independent case. Source: Kish, Survey Sampling (1965), 5.4."""
    sizes = Counter(case.group or (case.id,) for case in cases)
    alike = sum(size**2 for size in sizes.values()) / max(len(cases), 1)
    return 1 + (alike - 1) * likeness if cases else 1.0


def _mean_f1(
    empty: Forecast, supports: Mapping[str, int], truth: float, effect: float, assumed: Assumptions
) -> Forecast:
    needed = None
    chances = f1_chances(empty.rule, supports, truth, runs=assumed.simulations, times=1 / effect)
    if assumed.simulate_sizes:
        runs = assumed.simulations // 2
        needed = cases_to_show_f1(empty.rule, supports, truth, runs=runs, power=assumed.power)
    return replace(empty, chances=chances, needed=_cases(needed, effect))


def _rate(empty: Forecast, truth: float, effect: float, assumed: Assumptions) -> Forecast:
    rule, bar, n = empty.rule, limit_of(empty.rule), empty.n
    if rule.metric == "accuracy_at_coverage":
        n = ceil(as_written(rule.coverage) * n)
    worth = max(1, round(n / effect))
    # A rate that has to stay within a bar is the complement of one that has to reach it.
    reach, quality = (bar, truth) if rule.upward else (1 - bar, 1 - truth)
    found = replace(empty, n=n, worth=worth, chances=rate_chances(worth, reach, quality, confidence=rule.confidence))
    if rule.confidence is None:
        return found
    needed = cases_to_show_rate(reach, quality, confidence=rule.confidence, power=assumed.power)
    visible = smallest_visible_rate(worth, reach, confidence=rule.confidence, power=assumed.power)
    shown = visible if visible is None or rule.upward else 1 - visible
    return replace(found, needed=_cases(needed, effect), visible=shown)


def _drop(empty: Forecast, effect: float, assumed: Assumptions) -> Forecast:
    rule, margin, drop = empty.rule, limit_of(empty.rule), assumed.drop
    if rule.metric not in CASE_MEANS:
        return replace(empty, unplanned=f"a drop of {rule.metric} has no paired interval")
    discordance, worth = max(assumed.discordance, abs(drop)), max(1, empty.worth)
    chances = drop_chances(worth, margin, drop, discordance, confidence=rule.confidence)
    found = replace(empty, truth=drop, chances=chances)
    if rule.confidence is None:
        return found
    confidence, power = rule.confidence, assumed.power
    needed = cases_to_show_drop(margin, drop, discordance, confidence=confidence, power=power)
    visible = smallest_visible_drop(worth, margin, discordance, confidence=confidence, power=power)
    return replace(found, needed=_cases(needed, effect), visible=visible)


def _cases(independent: int | None, effect: float) -> int | None:
    return None if independent is None else ceil(independent * effect)


def _expected(rule: Rule, bar: float, assumed: Assumptions) -> float | None:
    """The assumed true value: as given, or half-way from the bar to the best value; None if the bar is that value."""
    if rule.metric in assumed.expected:
        return assumed.expected[rule.metric]
    if rule.upward and "" in assumed.expected:
        return assumed.expected[""]
    best = 1.0 if rule.upward else 0.0
    return None if bar == best else (bar + best) / 2
