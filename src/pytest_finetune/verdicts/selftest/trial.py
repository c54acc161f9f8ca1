"""One gate over runs that are perfect except for planted damage: how much of it stops the gate, by bisection."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.metrics.plan import CaseSamples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.selftest.damage import Damage, DamageKind

NEEDS = {
    "latency_p50": "timing",
    "latency_p95": "timing",
    "tokens_per_case": "token counts",
    "cost_per_case": "token counts and prices",
    "ece": "probabilities of answers",
    "accuracy_at_coverage": "probabilities of answers",
}
"""What a self-test does not have, by the metric that needs it."""

_BETWEEN_ATTEMPTS = ("agreement", "pairwise_agreement", "format_stability")


@dataclass(frozen=True, slots=True)
class Trip:
    """
    The effect of one kind of damage on one gate.

    Args:
        kind: The kind of damage.
        noticed: Number of cases in the gate's slice where the scorer rejects the damaged answer.
        unnoticed: Number of cases in the slice where the scorer accepts it.
        damaged: Lowest number of damaged cases at which the gate stops passing; None if it passes with all `noticed`
            ones damaged.
        status: The verdict at that number; None if the gate never stops passing.
    """

    kind: DamageKind
    noticed: int
    unnoticed: int
    damaged: int | None = None
    status: Status | None = None


class Trial:
    """Judges one gate over runs that are perfect except for planted damage."""

    def __init__(self, eval_set: EvalSet, gate: Rule, perfect: Sequence[Sample]) -> None:
        # Alone, a gate has the whole level of its family, with which damage passes most easily.
        self.eval_set, self.gate = eval_set, replace(gate, family="")
        self.plan = eval_set.table(()).slice(gate.covers)
        self.chosen = [row.case for row in self.plan.rows]
        self.perfect = {sample.case_id: self._attempts(sample) for sample in perfect}
        rows = [sample for case in self.chosen for sample in self.perfect[case.id]]
        self.baseline = Baseline(gate.against, eval_set.cases_sha256, eval_set.repeats, rows)
        self.damage_order = sorted((case.id for case in self.chosen), key=_hashed)

    def trip(self, damage: Damage) -> Trip:
        """Find how much of this damage stops the gate from passing."""
        bad = [damage.samples[name] for name in self.damage_order if name in damage.samples]
        unnoticed = sum(case.id in damage.unnoticed for case in self.chosen)
        if not bad or self._passes(bad):
            return Trip(damage.kind, len(bad), unnoticed)
        # Bisection assumes that more damage never helps a gate; with all of `bad` it is known not to pass.
        damaged = bisect_left(range(len(bad)), 1, lo=1, key=lambda count: int(not self._passes(bad[:count])))
        return Trip(damage.kind, len(bad), unnoticed, damaged, self._damaged(bad[:damaged]).status)

    def caught(self, damage: Sequence[Damage]) -> frozenset[DamageKind]:
        """The kinds of damage that stop the gate from passing."""
        if self.gate.metric in NEEDS:
            return frozenset()
        chosen = {case.id for case in self.chosen}
        planted = ((one.kind, [one.samples[name] for name in one.samples.keys() & chosen]) for one in damage)
        return frozenset(kind for kind, bad in planted if bad and not self._passes(bad))

    def verdict(self, bad: Mapping[str, Sample]) -> Verdict:
        """The gate's verdict with these samples, by case id, in place of the perfect ones."""
        rows = tuple(CaseSamples(case, tuple(self._row(case.id, bad.get(case.id)))) for case in self.chosen)
        (verdict,) = judge([self.gate], replace(self.plan, rows=rows), self.baseline)
        return verdict

    def _passes(self, bad: Sequence[Sample]) -> bool:
        return self._damaged(bad).status is Status.PASS

    def _damaged(self, bad: Sequence[Sample]) -> Verdict:
        return self.verdict({sample.case_id: sample for sample in bad})

    def _row(self, case_id: str, bad: Sample | None) -> list[Sample]:
        right = self.perfect[case_id]
        if bad is None:
            return right
        attempts = self._attempts(bad)
        return [*right[:-1], attempts[-1]] if self.gate.metric in _BETWEEN_ATTEMPTS else attempts

    def _attempts(self, sample: Sample) -> list[Sample]:
        """The same answer for every attempt."""
        return [sample, *(replace(sample, attempt=attempt) for attempt in range(1, self.eval_set.repeats))]


def _hashed(name: str) -> bytes:
    return sha256(name.encode()).digest()
