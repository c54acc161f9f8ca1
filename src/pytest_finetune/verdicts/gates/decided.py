"""Whether a run may stop early: once no remaining answer can change a verdict, by exact counting."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates.bars import status_of
from pytest_finetune.verdicts.gates.completeness import plan_fault
from pytest_finetune.verdicts.gates.inputs import GateInputs
from pytest_finetune.verdicts.gates.verdict import Status, Verdict
from pytest_finetune.verdicts.metrics.parts import is_unscored, part_of
from pytest_finetune.verdicts.stats import rate_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.verdicts.metrics import SampleTable
    from pytest_finetune.verdicts.rule import Rule


class Decider:
    """
    Counts samples as they arrive, in constant time each, and knows when no further sample can change a verdict.

    A verdict is decided if it holds whether the remaining samples pass, miss or end in an error, as long as there are
    no more errors than `max_errors` tolerates. Only gates on accuracy with a bar, and `must_pass`, can be decided
    early; a set with any other gate, or without gates, is never decided.

    Args:
        rules: What the set is judged by.
        table: The plan; the samples in it are not counted.
    """

    def __init__(self, rules: Sequence[Rule], table: SampleTable) -> None:
        self._eval_set = table.eval_set
        # A judge's verdicts count only after the correction, which depends on how many answers it sees.
        # With cases in groups an interval may become longer with a pass.
        grouped = table.summary.groups is not None and any(rule.confidence for rule in rules)
        countable = not table.has_judge and not grouped and all(is_countable(rule) for rule in rules)
        self._countable = bool(rules) and countable
        self._counts = [GateCount.of(GateInputs(rule, table)) for rule in rules] if self._countable else []

    def add(self, sample: Sample) -> None:
        """Count one sample, each at most once; a sample that was not run is still to come."""
        if sample.eval_set == self._eval_set and sample.state not in (State.UNRUN, State.UNNEEDED):
            for count in self._counts:
                count.add(sample)

    def verdicts(self) -> list[Verdict] | None:
        """The verdicts of the full run once all are decided; None before."""
        if not self._countable or not all(count.decided for count in self._counts):
            return None
        return [count.verdict() for count in self._counts]


def is_countable(rule: Rule) -> bool:
    """Whether more passes can move the verdict in one direction only, which counting relies on."""
    return not rule.compares and rule.metric == "accuracy" and not rule.sequential


@dataclass(slots=True)
class GateCount:
    """
    One gate's running count: attempts that passed, or with `needed` cases that did.

    `breaks` are the totals at which the status changes, from none passed to all passed.
    """

    inputs: GateInputs
    fault: str
    status: Callable[[int], Status]
    total: int
    needed: int | None
    breaks: list[int]
    left: dict[str, int]
    passed: dict[str, int]
    sure: int = 0
    possible: int = 0
    errors: int = 0
    seen: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, inputs: GateInputs) -> GateCount:
        """An empty count for one gate over its whole plan."""
        cases, repeats, rule = len(inputs.sliced.rows), inputs.table.repeats, inputs.rule
        needed = repeats if rule.kind == "must_pass" and rule.needed is None else rule.needed
        total = cases if needed is not None else cases * repeats
        left = {row.case.id: repeats for row in inputs.sliced.rows}
        fault, status = plan_fault(inputs), _status_by_count(rule, total, cases)
        breaks = [] if fault else _breaks(status, total)
        return cls(inputs, fault, status, total, needed, breaks, left, dict.fromkeys(left, 0), possible=total)

    def add(self, sample: Sample) -> None:
        """Count a sample of the plan; a second one for the same place is not counted."""
        case, place = sample.case_id, (sample.case_id, sample.attempt)
        if case not in self.left or place in self.seen or not 0 <= sample.attempt < self.inputs.table.repeats:
            return
        sample = part_of(sample, self.inputs.rule.scorer)
        if is_unscored(sample):
            self.fault = f"a sample has no score of {self.inputs.rule.scorer}"
        self.seen.add(place)
        before = self._sure(case), self._possible(case)
        self.left[case] -= 1
        self.passed[case] += sample.state is State.PASSED
        self.errors += sample.state is State.ERROR
        self.sure += self._sure(case) - before[0]
        self.possible += self._possible(case) - before[1]

    @property
    def decided(self) -> bool:
        """Whether no remaining answer can change the status."""
        if self.fault or self._too_many_errors:
            return True
        return bisect_right(self.breaks, self.sure) == bisect_right(self.breaks, self.possible)

    def verdict(self) -> Verdict:
        """The verdict of the full run, once it is `decided`."""
        inputs = self.inputs
        if self.fault:
            return inputs.verdict(Status.INCOMPLETE, f"incomplete: {self.fault}")
        if self._too_many_errors:
            problem = f"{self.errors} samples ended in an error, and max_errors is {inputs.rule.max_errors}"
            return inputs.verdict(Status.INCOMPLETE, f"incomplete: {problem}")
        status, unit = self.status(self.sure), "samples" if self.needed is None else "cases"
        reach = f"{self.sure} to {self.possible}" if self.possible > self.sure else f"{self.sure}"
        text = f"decided after {len(self.seen)} of {len(self.left) * inputs.table.repeats} samples: "
        text += f"{reach} of {self.total} {unit} can pass, whatever the rest answer"
        return inputs.verdict(status, text)

    @property
    def _too_many_errors(self) -> bool:
        return self.inputs.rule.max_errors is not None and self.errors > self.inputs.rule.max_errors

    def _sure(self, case: str) -> int:
        return self.passed[case] if self.needed is None else int(self.passed[case] >= self.needed)

    def _possible(self, case: str) -> int:
        reachable = self.passed[case] + self.left[case]
        return reachable if self.needed is None else int(reachable >= self.needed)


def _status_by_count(rule: Rule, total: int, cases: int) -> Callable[[int], Status]:
    def status(passed: int) -> Status:
        if rule.kind == "must_pass":
            return Status.PASS if passed == total else Status.FAIL
        value = Fraction(passed, total)
        interval = rate_interval(float(value * cases), cases, confidence=rule.confidence) if rule.confidence else None
        return status_of(rule, value, interval)

    return status


def _breaks(status: Callable[[int], Status], total: int) -> list[int]:
    """The counts at which the status changes; it changes in one direction only, so bisection finds them."""
    breaks: list[int] = []
    while status(start := breaks[-1] if breaks else 0) is not status(total):
        here = status(start)
        breaks.append(bisect_left(range(total + 1), 1, lo=start, key=lambda count: int(status(count) is not here)))
    return breaks
