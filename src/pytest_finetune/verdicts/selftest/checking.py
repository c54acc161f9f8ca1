"""How many damaged cases it takes to stop each gate from passing, found by bisection over real verdicts."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.metrics.plan import CaseSamples
from pytest_finetune.verdicts.selftest.damage import USELESS, Kind, plant
from pytest_finetune.verdicts.selftest.perfect import imperfection, perfect_run

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.selftest.damage import Damage

_NEEDS = {
    "latency_p50": "timing",
    "latency_p95": "timing",
    "tokens_per_case": "token counts",
    "cost_per_case": "token counts and prices",
    "ece": "probabilities of answers",
    "accuracy_at_coverage": "probabilities of answers",
}
_BETWEEN_ATTEMPTS = ("agreement", "format_stability")


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

    kind: Kind
    noticed: int
    unnoticed: int
    damaged: int | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class GateCheck:
    """
    The self-test of one gate.

    Args:
        gate: The gate.
        n: Number of cases in its slice.
        perfect: Its verdict on the perfect run; None if it was not tested.
        trips: One per kind of damage; empty if it does not pass the perfect run, or lacks more than a baseline. A gate
            with a baseline is compared with the perfect run: what it does not catch then, it never does.
        needs: What the gate needs and a self-test does not have, such as timing; empty if it was tested.
    """

    gate: Rule
    n: int
    perfect: Verdict | None = None
    trips: tuple[Trip, ...] = ()
    needs: str = ""

    @property
    def caught(self) -> frozenset[Kind]:
        """The kinds of damage that stop the gate from passing."""
        return frozenset(trip.kind for trip in self.trips if trip.damaged)

    @property
    def finding(self) -> str:
        """The problem of the gate, in one clause; empty if there is none, or it was not tested."""
        if self.perfect is None:
            return ""
        if self.perfect.status is not Status.PASS:
            return f"does not pass a perfect run: {self.perfect.message}"
        if any(trip.damaged for trip in self._relevant_trips()):
            return ""
        if not any(trip.noticed for trip in self._relevant_trips()):
            return "never fails: the scorer accepts every damaged answer to its cases"
        return f"never fails: it passes with all {self.n:,} cases damaged, for every kind of damage"

    def _relevant_trips(self) -> list[Trip]:
        """Errors for a gate on the error rate, bad answers for all others: errors make any verdict incomplete."""
        on_errors = self.gate.metric == "error_rate"
        return [trip for trip in self.trips if (trip.kind is Kind.ERROR) is on_errors]


@dataclass(frozen=True, slots=True)
class Gap:
    """
    Damage that no gate of an eval set catches.

    Args:
        kind: The kind of damage.
        cases: Number of damaged cases that no gate which catches this kind covers.
        planned: Number of cases of the set.
    """

    kind: Kind
    cases: int
    planned: int

    def __str__(self) -> str:
        return f"{self.kind} (in {self.cases:,} of {self.planned:,} cases)"


@dataclass(frozen=True, slots=True)
class SetCheck:
    """
    The self-test of the gates of one eval set.

    Args:
        eval_set: The eval set.
        gates: In the order of the settings; without gates, the implied one.
        damage: The planted damage, one per kind.
        untestable: Why no gate could be tested; empty if they were.
    """

    eval_set: EvalSet
    gates: tuple[GateCheck, ...] = ()
    damage: tuple[Damage, ...] = ()
    untestable: str = ""

    @property
    def findings(self) -> list[tuple[str, str]]:
        """The gates with a problem, as (label, problem)."""
        return [(check.gate.label, check.finding) for check in self.gates if check.finding]

    @property
    def gaps(self) -> list[Gap]:
        """The damage that no gate catches, by kind."""
        return _gaps(self.eval_set, [(check.gate, check.caught) for check in self.gates], self.damage)

    @property
    def protects_nothing(self) -> bool:
        """The answers of a model that has learnt nothing pass, in all cases or in some."""
        return self.tested and any(gap.kind in USELESS for gap in self.gaps)

    @property
    def tested(self) -> bool:
        """Whether any gate was tested."""
        return any(check.perfect is not None for check in self.gates)


def check_gates(eval_set: EvalSet) -> SetCheck:
    """
    Test every gate of an eval set that can be tested without a model.

    Cases are damaged in the order of a hash of their ids, which is the same in every run and mixes labels and slices.
    With repeats every attempt of a case is damaged; for gates on differences between attempts only the last one is.
    """
    perfect = perfect_run(eval_set)
    if problem := imperfection(eval_set, perfect):
        return SetCheck(eval_set, untestable=problem)
    damage = plant(eval_set, perfect)
    gates = eval_set.settings.judged_by
    return SetCheck(eval_set, tuple(_check(_Trial(eval_set, gate, perfect), damage) for gate in gates), damage)


def find_gaps(eval_set: EvalSet) -> list[Gap]:
    """
    Which answers of a model that has learnt nothing no gate of a set catches: faster than the whole self-test.

    Empty if no right answers are known to start from.
    """
    perfect = perfect_run(eval_set)
    if imperfection(eval_set, perfect):
        return []
    damage = plant(eval_set, perfect, USELESS)
    trials = [_Trial(eval_set, gate, perfect) for gate in eval_set.settings.judged_by]
    return _gaps(eval_set, [(trial.gate, trial.caught(damage)) for trial in trials], damage)


def _gaps(eval_set: EvalSet, caught: Sequence[tuple[Rule, Container[Kind]]], damage: Sequence[Damage]) -> list[Gap]:
    found = []
    for each in damage:
        gates = [gate for gate, kinds in caught if each.kind in kinds]
        damaged = each.samples.keys() | (each.unnoticed if each.kind in USELESS else frozenset())
        open_ones = [case for case in eval_set.cases if case.id in damaged and not any(map(_covers(case), gates))]
        if open_ones:
            found.append(Gap(each.kind, len(open_ones), len(eval_set.cases)))
    return found


def _covers(case: Case) -> Callable[[Rule], bool]:
    return lambda gate: gate.covers(case)


def _check(trial: _Trial, damage: Sequence[Damage]) -> GateCheck:
    gate, n = trial.gate, len(trial.chosen)
    if needs := _needs(gate):
        seen = () if gate.metric in _NEEDS else damage
        return GateCheck(gate, n, trips=tuple(map(trial.trip, seen)), needs=needs)
    perfect = trial.verdict({})
    trips = [trial.trip(each) for each in damage] if perfect.status is Status.PASS else []
    return GateCheck(gate, n, perfect, tuple(trips))


def _needs(gate: Rule) -> str:
    return "a baseline" if gate.compares else _NEEDS.get(gate.metric, "")


class _Trial:
    """Judges one gate over runs that are perfect except for planted damage."""

    def __init__(self, eval_set: EvalSet, gate: Rule, perfect: Sequence[Sample]) -> None:
        self.eval_set, self.gate = eval_set, gate
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

    def caught(self, damage: Sequence[Damage]) -> frozenset[Kind]:
        """The kinds of damage that stop the gate from passing."""
        if self.gate.metric in _NEEDS:
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
