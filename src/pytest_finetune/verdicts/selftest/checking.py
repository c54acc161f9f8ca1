"""How much damage each gate lets through, by the real verdicts: from none damaged to all, halving the distance."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates import Status, judge
from pytest_finetune.verdicts.metrics.plan import CaseSamples
from pytest_finetune.verdicts.selftest.damage import Kind, plant
from pytest_finetune.verdicts.selftest.perfect import perfect_run, what_is_not_answered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.selftest.damage import Damage

_NEEDS = {
    "latency_p50": "timing",
    "latency_p95": "timing",
    "tokens_per_case": "token counts",
    "cost_per_case": "token counts and prices",
}
_BETWEEN_ATTEMPTS = ("agreement", "format_stability")


@dataclass(frozen=True, slots=True)
class Trip:
    """
    What one kind of damage does to one gate.

    Args:
        kind: The damage.
        noticed: Cases of the gate's slice that it could be planted in and that the scorer noticed it in.
        unnoticed: Cases of the slice whose planted answers the scorer passes.
        damaged: How many damaged cases stop the gate from passing; None when not even all that were noticed do.
        status: The verdict at that damage; None when the gate never trips.
    """

    kind: Kind
    noticed: int
    unnoticed: int
    damaged: int | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class GateCheck:
    """
    One gate tried out.

    Args:
        gate: What the gate demands.
        n: Cases of its slice.
        perfect: Its verdict on the perfect run; None when it was not tried.
        trips: By kind; empty when it was not tried, or does not pass the perfect run.
        needs: What this gate judges by and a planted run has not; empty when it was tried.
    """

    gate: Rule
    n: int
    perfect: Verdict | None = None
    trips: tuple[Trip, ...] = ()
    needs: str = ""

    @property
    def finding(self) -> str:
        """What is wrong with the gate, in one clause; empty when nothing is, or it was not tried."""
        if self.perfect is None:
            return ""
        if self.perfect.status is not Status.PASS:
            return f"does not pass a run without a fault: {self.perfect.message}"
        if any(trip.damaged for trip in self._telling()):
            return ""
        if not any(trip.noticed for trip in self._telling()):
            return "nothing trips it: the scorer notices no bad answer to its cases"
        return f"nothing trips it: it passes with all {self.n:,} cases damaged, whichever way"

    def _telling(self) -> list[Trip]:
        """Bad answers; errors make any verdict incomplete, and only a gate on them is for catching them."""
        on_errors = self.gate.metric == "error_rate"
        return [trip for trip in self.trips if (trip.kind is Kind.ERROR) is on_errors]


@dataclass(frozen=True, slots=True)
class SetCheck:
    """
    The gates of one eval set tried out.

    Args:
        eval_set: The set.
        gates: In the order they were written; the one implied, when none was.
        damage: What was planted.
        untestable: Why no gate could be tried; empty when they were.
    """

    eval_set: EvalSet
    gates: tuple[GateCheck, ...] = ()
    damage: tuple[Damage, ...] = ()
    untestable: str = ""

    @property
    def findings(self) -> list[tuple[str, str]]:
        """The gates that are of no use, by label, and why."""
        return [(check.gate.label, check.finding) for check in self.gates if check.finding]

    @property
    def tried(self) -> bool:
        """Whether any gate was."""
        return any(check.perfect is not None for check in self.gates)


def check_gates(eval_set: EvalSet) -> SetCheck:
    """
    Try every gate of a set that can be tried without a model.

    Cases are damaged in the order of a hash of their ids: the same in every run, and spread over labels and slices.
    With repeats every attempt at a case is damaged, but for gates on how attempts differ: there the last one alone.
    """
    perfect = perfect_run(eval_set)
    if problem := what_is_not_answered(eval_set, perfect):
        return SetCheck(eval_set, untestable=problem)
    damage = plant(eval_set, perfect)
    gates = eval_set.settings.judged_by
    return SetCheck(eval_set, tuple(_check(_Trial(eval_set, gate, perfect), damage) for gate in gates), damage)


def _check(trial: _Trial, damage: Sequence[Damage]) -> GateCheck:
    gate, n = trial.gate, len(trial.chosen)
    if needs := _needs(gate):
        return GateCheck(gate, n, needs=needs)
    perfect = trial.verdict({})
    trips = [trial.trip(each) for each in damage] if perfect.status is Status.PASS else []
    return GateCheck(gate, n, perfect, tuple(trips))


def _needs(gate: Rule) -> str:
    return "a baseline" if gate.compares else _NEEDS.get(gate.metric, "")


class _Trial:
    """One gate over runs that are perfect but for what was planted."""

    def __init__(self, eval_set: EvalSet, gate: Rule, perfect: Sequence[Sample]) -> None:
        self.eval_set, self.gate = eval_set, gate
        self.plan = eval_set.table(()).slice(gate.covers)
        self.chosen = [row.case for row in self.plan.rows]
        self.perfect = {sample.case_id: self._attempts(sample) for sample in perfect}
        self.damage_order = sorted((case.id for case in self.chosen), key=_scattered)

    def trip(self, damage: Damage) -> Trip:
        """How much of this damage stops the gate from passing."""
        bad = [damage.samples[name] for name in self.damage_order if name in damage.samples]
        unnoticed = sum(case.id in damage.unnoticed for case in self.chosen)
        if not bad or self._passes(bad):
            return Trip(damage.kind, len(bad), unnoticed)
        damaged = bisect_left(range(len(bad)), 1, lo=1, key=lambda count: int(not self._passes(bad[:count])))
        return Trip(damage.kind, len(bad), unnoticed, damaged, self._damaged(bad[:damaged]).status)

    def verdict(self, bad: Mapping[str, Sample]) -> Verdict:
        """The gate's verdict with these samples in place of the perfect ones, by case id."""
        rows = tuple(CaseSamples(case, tuple(self._row(case.id, bad.get(case.id)))) for case in self.chosen)
        (verdict,) = judge([self.gate], replace(self.plan, rows=rows))
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
        """The same answer to every attempt."""
        return [sample, *(replace(sample, attempt=attempt) for attempt in range(1, self.eval_set.repeats))]


def _scattered(name: str) -> bytes:
    return sha256(name.encode()).digest()
