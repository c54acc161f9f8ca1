"""What each gate will probably say, from its cases and an assumed quality: before any request is paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import ceil, prod
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.bars import limit_of
from pytest_finetune.verdicts.gates.f1_forecast import cases_to_show_f1, f1_chances
from pytest_finetune.verdicts.gates.forecast_figures import Forecast, with_shared_levels
from pytest_finetune.verdicts.gates.sequential_forecast import (
    drop_expected,
    enough_cases,
    largest_drop,
    rate_expected,
    smallest_rate,
)
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.metrics.shares import CASE_MEANS, SHARES
from pytest_finetune.verdicts.metrics.summary import EVERY_LABEL
from pytest_finetune.verdicts.stats.pair_looks import PairDesign
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
from pytest_finetune.verdicts.stats.rate_looks import RateDesign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats.spending import Sequential

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


def forecast_set(eval_set: EvalSet, assumed: Assumptions) -> list[Forecast]:
    """A forecast of each gate of a set, in their order."""
    found = [_forecast(rule, eval_set, assumed) for rule in eval_set.settings.judged_by]
    return with_shared_levels(found)


def _forecast(rule: Rule, eval_set: EvalSet, assumed: Assumptions) -> Forecast:
    cases = [case for case in eval_set.cases if rule.covers(case)]
    n, effect = len(cases), _design_effect(cases, assumed.likeness)
    empty = Forecast(rule, n, round(n / effect))
    if not n:
        return replace(empty, unplanned="it covers no case")
    if rule.kind == "max_flips":
        passes = binomial_cdf(int(limit_of(rule)), n, max(0.0, (assumed.discordance + assumed.drop) / 2))
        return replace(empty, truth=assumed.drop, chances=Chances(passes, 1 - passes))
    empty = replace(empty, shares=(Chances(0, 0),) * _shared_by(rule, eval_set.settings.judged_by))
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
    if rule.metric == "recall" and label_of:
        return _recall(empty, cases, label_of, truth, assumed)
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
    if rule.sequential and found.chances:
        bar = float(as_written(bar) if rule.upward else 1 - as_written(bar))
        design = RateDesign(rule.sequential, worth, bar, rule.confidence)
        expected, visible = rate_expected(design, quality), smallest_rate(design, assumed.power)
        needed = enough_cases(rule.sequential, needed, _settles_rate(design, quality), assumed.power)
        found = replace(found, chances=expected.chances, fixed=found.chances, asked=expected.cases)
    shown = visible if visible is None or rule.upward else 1 - visible
    return replace(found, needed=_cases(needed, effect), visible=shown)


def _settles_rate(design: RateDesign, truth: float) -> Callable[[Sequential, int], float]:
    def settles(method: Sequential, planned: int) -> float:
        chances = rate_expected(replace(design, method=method, planned=planned), truth).chances
        return chances.passes if truth > design.bar else chances.fails

    return settles


def _recall(
    empty: Forecast, cases: Sequence[Case], label_of: Callable[[Case], str], truth: float, assumed: Assumptions
) -> Forecast:
    by_label: dict[str, list[Case]] = {}
    for case in cases:
        by_label.setdefault(label_of(case), []).append(case)
    chosen = by_label if empty.rule.of_label == EVERY_LABEL else {empty.rule.of_label: by_label[empty.rule.of_label]}
    # Of all labels, all have to pass, each with the whole level; the one that fails has its part of the level.
    power = assumed.power ** (1 / len(chosen))
    each = [_one_recall(empty, part, truth, replace(assumed, power=power)) for part in chosen.values()]
    if empty.rule.of_label != EVERY_LABEL:
        return each[0]
    confidence = empty.rule.confidence
    strict = replace(empty.rule, confidence=None if confidence is None else 1 - (1 - confidence) / len(each))
    fails = [_one_recall(replace(empty, rule=strict), part, truth, assumed) for part in chosen.values()]
    chances = Chances(
        prod(one.chances.passes for one in each if one.chances),
        1 - prod(1 - one.chances.fails for one in fails if one.chances),
    )
    needed = [one.needed and ceil(one.needed * empty.n / one.n) for one in each]
    return replace(empty, chances=chances, needed=None if None in needed else max(filter(None, needed)))


def _one_recall(empty: Forecast, cases: Sequence[Case], truth: float, assumed: Assumptions) -> Forecast:
    effect = _design_effect(cases, assumed.likeness)
    return _rate(replace(empty, n=len(cases), worth=round(len(cases) / effect)), truth, effect, assumed)


def _shared_by(rule: Rule, rules: Sequence[Rule]) -> int:
    """Gates that share their level with one, itself included; 0 for one that has a level of its own."""
    if not rule.family or (rule.family == "hierarchy" and not rule.where):
        return 0
    members = [each for each in rules if (each.family, each.scorer) == (rule.family, rule.scorer)]
    return sum(bool(each.where) for each in members) if rule.family == "hierarchy" else len(members)


def _drop(empty: Forecast, effect: float, assumed: Assumptions) -> Forecast:
    rule, margin, drop = empty.rule, limit_of(empty.rule), assumed.drop
    if rule.metric not in CASE_MEANS:
        return replace(empty, unplanned=f"a drop of {rule.metric} has no paired interval")
    discordance, worth = max(assumed.discordance, abs(drop)), max(1, empty.worth)
    chances = drop_chances(worth, margin, drop, discordance, confidence=rule.confidence)
    found = replace(empty, truth=drop, chances=chances)
    if rule.confidence is None:
        return found
    shares = [
        drop_chances(worth, margin, drop, discordance, confidence=1 - (1 - rule.confidence) / divisor)
        for divisor in range(1, len(empty.shares) + 1)
    ]
    # The cases are those for the first step of a family, whose level is the strictest.
    confidence, power = 1 - (1 - rule.confidence) / max(1, len(shares)), assumed.power
    needed = cases_to_show_drop(margin, drop, discordance, confidence=confidence, power=power)
    visible = smallest_visible_drop(worth, margin, discordance, confidence=confidence, power=power)
    if rule.sequential:
        design = PairDesign(rule.sequential, worth, margin, rule.confidence)
        expected = drop_expected(design, drop, discordance)
        found = replace(found, chances=expected.chances, fixed=chances, asked=expected.cases)
        if rule.sequential == "e-process":
            # Each number of cases would take a simulation.
            return found
        visible = largest_drop(design, discordance, power)
        needed = enough_cases(rule.sequential, needed, _settles_drop(design, drop, discordance), power)
    return replace(found, needed=_cases(needed, effect), visible=visible, shares=tuple(shares))


def _settles_drop(design: PairDesign, drop: float, discordance: float) -> Callable[[Sequential, int], float]:
    def settles(method: Sequential, planned: int) -> float:
        chances = drop_expected(replace(design, method=method, planned=planned), drop, discordance).chances
        return chances.passes if drop < design.margin else chances.fails

    return settles


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
