"""Everything that one gate is judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates.verdict import Verdict
from pytest_finetune.verdicts.metrics.calibration import JUDGED_METRICS

if TYPE_CHECKING:
    from pytest_finetune.verdicts.comparison import Flip
    from pytest_finetune.verdicts.gates.verdict import Baseline, Status
    from pytest_finetune.verdicts.metrics import SampleTable, Summary
    from pytest_finetune.verdicts.metrics.calibration import Calibration
    from pytest_finetune.verdicts.metrics.measure import Measure
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
    def calibration(self) -> Calibration | None:
        """That of the judge, if the gate is about its verdicts."""
        return self.table.judge if self.rule.metric in JUDGED_METRICS else None

    def measure(self, confidence: float, *, times: float = 1.0) -> Measure:
        """The gate's metric, corrected for a judge's errors; with `times` as if there were so many times the cases."""
        if self.calibration is not None:
            return self.calibration.corrected(self.rule.metric, self.summary, confidence, times=times)
        return self.summary.value(self.rule.metric, confidence=confidence)

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
            corrected=self.calibration is not None and value is not None,
        )

    def _figures(self, table: SampleTable) -> Summary:
        rule = self.rule
        if rule.needed is None and not rule.field and not rule.of_label and rule.coverage == table.summary.coverage:
            return table.summary
        return replace(table.summary, needed=rule.needed, field=rule.field, coverage=rule.coverage, label=rule.of_label)
