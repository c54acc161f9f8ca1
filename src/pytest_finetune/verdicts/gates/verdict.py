"""What a gate says in the end, and what it compares with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.comparison import Flip
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats import Interval


class Status(StrEnum):
    """Only `pass` is a pass."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    One gate's verdict.

    Args:
        eval_set: Name of the set.
        gate: The gate's label: `accuracy>=0.95,tag=critical`.
        rule: What the gate demands: metric, bar, slice, confidence.
        status: `pass`, `fail`, `inconclusive` or `incomplete`.
        message: One line for people: the value, the bar, and why.
        value: The measured value, or the drop, or the number of flips; None where there is none.
        interval: What the evidence leaves possible, at the gate's confidence or else 0.95; None where none exists.
        n: Planned cases of the gate's slice.
        flips: Cases that passed in the baseline and do not now, or the other way round.
        missed: Ids of cases that must pass and did not.
        baseline: Name of what the gate was compared with; empty where it compares with nothing.
    """

    eval_set: str
    gate: str
    rule: Rule
    status: Status
    message: str
    value: float | None = None
    interval: Interval | None = None
    n: int = 0
    flips: tuple[Flip, ...] = ()
    missed: tuple[str, ...] = ()
    baseline: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """
    The other run that a gate compares with.

    Args:
        name: What it is, for people and for `against`: `production`, a model id, a run.
        cases_sha256: Hash of the cases it was asked; another than today's cannot be compared.
        repeats: Its attempts a case.
        samples: All its samples of the eval set.
        aliases: Other words by which `against` may mean it.
        model: Its model id on the wire, for the record.
        base_url: The server that answered, for the record; empty where there is no address.
        identity: What makes its answers what they are, for the record: the server, or the bytes of the weights.
        run: Id of the run that holds its answers, for the record.
        doubt: Why its answers are no evidence of that model, for the record; empty where nothing is against them.
    """

    name: str
    cases_sha256: str
    repeats: int
    samples: Sequence[Sample]
    aliases: tuple[str, ...] = ()
    model: str = ""
    base_url: str = ""
    identity: str = ""
    run: str = ""
    doubt: str = ""
