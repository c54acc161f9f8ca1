"""The chances of a gate on macro F1, by simulation: its interval has no closed distribution."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.bars import limit_of, status_of
from pytest_finetune.verdicts.gates.verdict import Status
from pytest_finetune.verdicts.metrics.labels import LabelTable
from pytest_finetune.verdicts.stats.power import MOST, Chances

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.verdicts.rule import Rule

_SEED = 1
_CLOSE = 20
"""The number of needed cases is found to one part in so many, which the noise of a simulation is worth."""


def f1_chances(rule: Rule, supports: Mapping[str, int], truth: float, *, runs: int, times: float = 1.0) -> Chances:
    """
    The chance of each verdict on F1, if wrong answers are any other label with equal probability.

    Args:
        rule: A gate on macro F1 with a bar.
        supports: Cases that expect each label.
        truth: The true F1, which sets the probability of a right answer.
        runs: Number of simulated runs; the draws are the same in every call.
        times: Factor on the number of cases.
    """
    right, rng = _probability_of_right(supports, truth, weighted=rule.metric == "weighted_f1"), Random(_SEED)  # noqa: S311 - a simulation
    ends = Counter(_status(rule, _draw(supports, right, times, rng)) for _ in range(runs))
    return Chances(ends[Status.PASS] / runs, ends[Status.FAIL] / runs)


def cases_to_show_f1(rule: Rule, supports: Mapping[str, int], truth: float, *, runs: int, power: float) -> int | None:
    """About how many cases, spread over the labels as now, settle the gate; the arguments are those of `f1_chances`."""
    if rule.confidence is None or truth == limit_of(rule):
        return None
    good = (truth > limit_of(rule)) == rule.upward
    planned = sum(supports.values())

    def strong(cases: int) -> bool:
        found = f1_chances(rule, supports, truth, runs=runs, times=cases / planned)
        return (found.passes if good else found.fails) >= power

    weak, enough = 1, planned
    while not strong(enough):
        weak, enough = enough, enough * 2
        if enough > MOST // 10:
            return None
    while enough - weak > max(1, enough // _CLOSE):
        middle = (weak + enough) // 2
        weak, enough = (weak, middle) if strong(middle) else (middle, enough)
    return enough


def _status(rule: Rule, table: LabelTable) -> Status | None:
    weighted = rule.metric == "weighted_f1"
    value = table.weighted_f1 if weighted else table.macro_f1
    interval = table.f1_interval(rule.confidence or 0.95, weighted=weighted)
    return None if value is None else status_of(rule, value, interval)


def _probability_of_right(supports: Mapping[str, int], truth: float, *, weighted: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _mean_f1(supports, middle, weighted=weighted) >= truth else (middle, high)
    return high


def _mean_f1(supports: Mapping[str, int], right: float, *, weighted: bool) -> float:
    """F1 of a model with this probability of a right answer, over all labels."""
    total, others = sum(supports.values()), max(len(supports) - 1, 1)
    return sum(
        (n / total if weighted else 1 / len(supports))
        * (2 * right * n / (n + right * n + (1 - right) * (total - n) / others))
        for n in supports.values()
    )


def _draw(supports: Mapping[str, int], right: float, times: float, rng: Random) -> LabelTable:
    labels = list(supports)
    counts: Counter[tuple[str, str]] = Counter()
    for at, (label, support) in enumerate(supports.items()):
        cases = max(1, round(support * times))
        passed = sum(rng.random() < right for _ in range(cases))
        counts[label, label] += passed
        for _ in range(cases - passed if len(labels) > 1 else 0):
            other = rng.randrange(len(labels) - 1)
            counts[label, labels[other + (other >= at)]] += 1
    return LabelTable({pair: count for pair, count in counts.items() if count})
