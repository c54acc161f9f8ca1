"""Verdicts, and the baseline that a gate compares with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.comparison import Flip
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats import Interval
    from pytest_finetune.verdicts.stopping import Stopping


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
        message: One line: the value, the bar, and the reason.
        value: The measured value, or the drop, or the number of flips; None where there is none.
        interval: Confidence interval of the value, at the gate's confidence or else 0.95; None where none exists.
        n: Planned cases of the gate's slice.
        flips: Cases that passed in only one of the two runs.
        missed: Ids of cases that must pass and did not.
        baseline: Name of what the gate was compared with; empty where it compares with nothing.
        corrected: The value is corrected for the errors of a judge, which the message explains.
        stopping: When a sequential gate was decided; its value and interval are corrected for that. None for others.
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
    corrected: bool = False
    stopping: Stopping | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """
    The other run that a gate compares with.

    Args:
        name: As shown and as `against` may say it: `production`, a model id, a run.
        cases_sha256: Hash of the cases it ran on; only runs on the same cases can be compared.
        repeats: Its attempts per case.
        samples: All its samples of the eval set.
        aliases: Other names for it in `against`.
        model: Its model id on the wire, for the record.
        base_url: The server that answered, for the record; empty where there is no address.
        identity: What produced its answers, for the record: the server, or the hash of the weights.
        run: Id of the run that holds its answers, for the record.
        doubt: Why its answers do not count as that model's, for the record; empty if they do.
        answered_by: The names that the server answered under, for the record.
        request: The parameters of its requests, for the reports; empty if the record does not have them.
        itself: Why it is the very model that is judged, in one clause; empty if it is another one.
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
    answered_by: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    itself: str = ""
