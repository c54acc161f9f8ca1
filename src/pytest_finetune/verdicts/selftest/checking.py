"""How many damaged cases it takes to stop each gate from passing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.selftest.damage import USELESS, DamageKind, plant
from pytest_finetune.verdicts.selftest.gaps import uncaught
from pytest_finetune.verdicts.selftest.perfect import imperfection, perfect_run, without_asking
from pytest_finetune.verdicts.selftest.trial import NEEDS, Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.selftest.damage import Damage
    from pytest_finetune.verdicts.selftest.gaps import Gap
    from pytest_finetune.verdicts.selftest.trial import Trip


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
    def counted(self) -> int:
        """Number of cases that its value counts: of a gate on recall, those of its label."""
        return self.perfect.n if self.perfect and self.gate.of_label else self.n

    @property
    def caught(self) -> frozenset[DamageKind]:
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
        return [trip for trip in self.trips if (trip.kind is DamageKind.ERROR) is on_errors]


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
        return uncaught(self.eval_set, [(check.gate, check.caught) for check in self.gates], self.damage)

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
    if isinstance(eval_set.scorer, AskingScorer):
        asked = eval_set.scorer.asks.spec
        return SetCheck(
            eval_set, untestable=f"the scorer {eval_set.scorer.name} asks {asked}, and no model is called here"
        )
    tested = without_asking(eval_set)
    perfect = perfect_run(tested)
    if problem := imperfection(tested, perfect):
        return SetCheck(eval_set, untestable=problem)
    damage = plant(tested, perfect)
    checks = []
    for gate in eval_set.settings.judged_by:
        trial = Trial(tested, gate, perfect)
        if gate.scorer in eval_set.asking:
            checks.append(GateCheck(gate, len(trial.chosen), needs="the replies of a model"))
        else:
            checks.append(_check(trial, damage))
    return SetCheck(eval_set, tuple(checks), damage)


def _check(trial: Trial, damage: Sequence[Damage]) -> GateCheck:
    gate, n = trial.gate, len(trial.chosen)
    if needs := _needs(gate):
        seen = () if gate.metric in NEEDS else damage
        return GateCheck(gate, n, trips=tuple(map(trial.trip, seen)), needs=needs)
    perfect = trial.verdict({})
    trips = [trial.trip(each) for each in damage] if perfect.status is Status.PASS else []
    return GateCheck(gate, n, perfect, tuple(trips))


def _needs(gate: Rule) -> str:
    return "a baseline" if gate.compares else NEEDS.get(gate.metric, "")
