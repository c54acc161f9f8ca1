"""Damage that no gate of an eval set catches: answers of a useless model that would ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.selftest.damage import USELESS, DamageKind, plant
from pytest_finetune.verdicts.selftest.perfect import imperfection, perfect_run, without_asking
from pytest_finetune.verdicts.selftest.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.selftest.damage import Damage

_MOST_TESTED = 5_000
"""Cases of an eval set whose gates a session tests: about a second of computing."""


@dataclass(frozen=True, slots=True)
class Gap:
    """
    Damage that no gate of an eval set catches.

    Args:
        kind: The kind of damage.
        cases: Number of damaged cases that no gate which catches this kind covers.
        planned: Number of cases of the set.
    """

    kind: DamageKind
    cases: int
    planned: int

    def __str__(self) -> str:
        return f"{self.kind} (in {self.cases:,} of {self.planned:,} cases)"


def gap_warnings(eval_set: EvalSet) -> list[str]:
    """What a useless model could answer without failing a gate; nothing where finding out would cost too much."""
    settings = eval_set.settings
    # A scoring function may call another model; a set without gates lets no miss pass.
    if any(":" in each.name for each in eval_set.scorers) or not settings.gates or len(eval_set.cases) > _MOST_TESTED:
        return []
    gaps = _find_gaps(eval_set)
    return [f"no gate catches {', '.join(map(str, gaps))}"] if gaps else []


def uncaught(
    eval_set: EvalSet, caught: Sequence[tuple[Rule, Container[DamageKind]]], damage: Sequence[Damage]
) -> list[Gap]:
    """The damage that no gate catches, given the kinds that each gate catches."""
    found = []
    for each in damage:
        gates = [gate for gate, kinds in caught if each.kind in kinds]
        damaged = each.samples.keys() | (each.unnoticed if each.kind in USELESS else frozenset())
        open_ones = [case for case in eval_set.cases if case.id in damaged and not any(map(_covers(case), gates))]
        if open_ones:
            found.append(Gap(each.kind, len(open_ones), len(eval_set.cases)))
    return found


def _find_gaps(eval_set: EvalSet) -> list[Gap]:
    """
    Which answers of a model that has learnt nothing no gate of a set catches: faster than the whole self-test.

    Empty if no right answers are known to start from.
    """
    gates = [gate for gate in eval_set.settings.judged_by if gate.scorer not in eval_set.asking]
    eval_set = without_asking(eval_set)
    perfect = perfect_run(eval_set)
    if imperfection(eval_set, perfect):
        return []
    damage = plant(eval_set, perfect, USELESS)
    trials = [Trial(eval_set, gate, perfect) for gate in gates]
    return uncaught(eval_set, [(trial.gate, trial.caught(damage)) for trial in trials], damage)


def _covers(case: Case) -> Callable[[Rule], bool]:
    return lambda gate: gate.covers(case)
