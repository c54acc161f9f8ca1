"""Everything that one gate is judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates.verdict import Verdict

if TYPE_CHECKING:
    from pytest_finetune.verdicts.comparison import Flip
    from pytest_finetune.verdicts.gates.verdict import Baseline, Status
    from pytest_finetune.verdicts.metrics import SampleTable, Summary
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats import Interval


@dataclass(frozen=True)
class GateInputs:
    """
    A gate and what it is judged by.

    Args:
        rule: What the gate demands.
        table: The whole plan of the set with what came of it, not only the gate's slice.
        baseline: The run that `against` compares with; None where there is none.
        baseline_table: Its samples in the same plan; None where the two cannot be compared.
    """

    rule: Rule
    table: SampleTable
    baseline: Baseline | None = None
    baseline_table: SampleTable | None = None

    @cached_property
    def sliced(self) -> SampleTable:
        """The part of the table that the gate rules over."""
        return self.table.slice(self.rule.covers)

    @cached_property
    def summary(self) -> Summary:
        """The figures of the gate's cases."""
        return self._figures(self.sliced)

    @cached_property
    def before(self) -> Summary:
        """
        The figures of the same cases in the baseline.

        Raises:
            ValueError: The two cannot be compared.
        """
        if self.baseline_table is None:
            raise ValueError("no baseline to compare with")
        return self._figures(self.baseline_table.slice(self.rule.covers))

    @property
    def too_many_errors(self) -> bool:
        """More samples of the slice ended in an error than the gate tolerates."""
        return self.rule.max_errors is not None and self.summary.counts[State.ERROR] > self.rule.max_errors

    def verdict(
        self,
        status: Status,
        message: str,
        *,
        value: float | None = None,
        interval: Interval | None = None,
        n: int | None = None,
        flips: tuple[Flip, ...] = (),
        missed: tuple[str, ...] = (),
    ) -> Verdict:
        """A verdict on this gate; `n` is the number of its cases where it is not given."""
        return Verdict(
            self.table.eval_set,
            self.rule.label,
            self.rule,
            status,
            message,
            value=value,
            interval=interval,
            n=len(self.sliced.rows) if n is None else n,
            flips=flips,
            missed=missed,
            baseline=self.baseline.name if self.baseline and self.rule.compares else "",
        )

    def _figures(self, table: SampleTable) -> Summary:
        needed, field, coverage = self.rule.needed, self.rule.field, self.rule.coverage
        if needed is None and not field and coverage == table.summary.coverage:
            return table.summary
        return replace(table.summary, needed=needed, field=field, coverage=coverage)
