"""The result of one eval set for one model: its samples judged, and compared with a baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.evaluation.asked_models import checked
from pytest_finetune.evaluation.runs import BaselineRecord, VerdictRecord
from pytest_finetune.verdicts.comparison import compare
from pytest_finetune.verdicts.gates import Status, judge, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs import TargetInfo
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline, Decider, Verdict
    from pytest_finetune.verdicts.metrics import SampleTable, Summary
    from pytest_finetune.verdicts.metrics.calibration import Calibration
    from pytest_finetune.verdicts.rule import Rule


@dataclass(frozen=True, slots=True)
class SetResult:
    """
    The result of one eval set.

    Args:
        eval_set: The set.
        model: The target's spec.
        summary: Figures over the whole plan.
        verdicts: One per gate, or one for the implied rule of a set without gates.
        unneeded: Planned samples not requested because the verdicts were already decided.
        baseline: Name of the baseline; empty without one.
        baseline_record: The baseline, for the manifest; None without one.
        comparison: With the baseline; None if the two cannot be compared.
        not_compared: Why not, in one clause.
        request_differences: Parameters that differ between the baseline's requests and these.
    """

    eval_set: EvalSet
    model: str
    summary: Summary
    verdicts: tuple[Verdict, ...]
    unneeded: int = 0
    baseline: str = ""
    baseline_record: BaselineRecord | None = None
    comparison: Comparison | None = None
    not_compared: str = ""
    request_differences: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the set."""
        return self.eval_set.name

    @property
    def gated(self) -> bool:
        """The set has gates; without any, every case must pass."""
        return bool(self.eval_set.settings.gates)

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses of its verdicts."""
        return tuple(verdict.status for verdict in self.verdicts)

    @property
    def rules(self) -> tuple[tuple[Rule, int], ...]:
        """What each gate demands, with the number of cases that it covers."""
        return tuple((verdict.rule, verdict.n) for verdict in self.verdicts)

    @property
    def form_decides(self) -> bool:
        """Whether any answer of the required form passes."""
        return self.eval_set.scorer.form_decides

    @property
    def unrun(self) -> int:
        """Planned samples that are missing and needed."""
        return self.summary.counts[State.UNRUN] - self.unneeded

    @property
    def complete(self) -> bool:
        """Every planned sample has ended or was not needed, with no more errors than the set or its gates allow."""
        judged = all(v.status is not Status.INCOMPLETE for v in self.verdicts)
        if self.stopped_by_looks and not judged:
            return False
        return not self.unrun and (self.summary.counts[State.ERROR] <= self.eval_set.settings.max_errors or judged)

    @property
    def stopped_by_looks(self) -> bool:
        """Sequential gates were decided before all cases were asked."""
        return self.unneeded > 0 and self.eval_set.is_sequential


def judge_set(
    eval_set: EvalSet,
    samples: Sequence[Sample],
    model: str,
    baseline: Baseline | None,
    *,
    decider: Decider | None,
    asked: Mapping[str, TargetInfo],
) -> SetResult:
    """
    Judge the samples of one eval set.

    Args:
        eval_set: The set.
        samples: All of them; a planned sample that is missing is `unrun`.
        model: The target's spec.
        baseline: What gates compare with; None without one.
        decider: Holds the verdicts if the evaluation stopped once they were decided.
        asked: The models that the set's scorers ask, by name; that of the deciding one is empty.
    """
    needed = [sample for sample in samples if sample.state is not State.UNNEEDED]
    table = with_checked_judges(eval_set.table(needed), asked, needed)
    result = SetResult(eval_set, model, table.summary, (), unneeded=len(samples) - len(needed))
    verdicts = decider.verdicts() if decider and result.unneeded and not result.unrun else None
    if verdicts is None:
        stopped = result.stopped_by_looks and not result.unrun
        verdicts = judge(eval_set.settings.judged_by, table, baseline, stopped=stopped)
    result = replace(result, verdicts=tuple(verdicts))
    return _compared(result, table, baseline) if baseline else result


def with_checked_judges(table: SampleTable, asked: Mapping[str, TargetInfo], samples: Sequence[Sample]) -> SampleTable:
    """
    The table, with a problem in the calibration of each judge that is not the one that gave the verdicts.

    Args:
        table: The plan of a set with its samples.
        asked: The models that the set's scorers ask now, by name; that of the deciding one is empty.
        samples: Those of the set, with the replies on record.
    """

    def judge_of(name: str, judge: Calibration | None) -> Calibration | None:
        return None if judge is None else checked(judge, asked.get(name), samples, name)

    if not table.has_judge:
        return table
    parts = {name: replace(part, judge=judge_of(name, part.judge)) for name, part in table.parts.items()}
    return replace(table, judge=judge_of("", table.judge), parts=parts)


def _compared(result: SetResult, table: SampleTable, baseline: Baseline) -> SetResult:
    """The result next to the baseline, if both ran the same plan and neither lacks an answer."""
    result = replace(result, baseline=baseline.name, baseline_record=_baseline_record(baseline))
    if baseline.itself:
        return replace(result, not_compared=f"it is the model itself: {baseline.itself}")
    before_table = table_of(baseline, table)
    if before_table is None:
        return replace(result, not_compared="the baseline ran on different cases, or with different repeats")
    before = before_table.summary
    missing = before.counts[State.UNRUN] + before.counts[State.ERROR]
    if missing:
        return replace(result, not_compared=f"{missing:,} answers of the baseline are missing")
    if result.unneeded:
        return replace(result, not_compared="this run stopped when its verdicts were decided")
    if result.unrun:
        return replace(result, not_compared=f"{result.unrun:,} answers of this run are missing")
    return replace(result, comparison=compare(before, result.summary))


def _baseline_record(baseline: Baseline) -> BaselineRecord:
    return BaselineRecord(
        name=baseline.name,
        model=baseline.model,
        base_url=baseline.base_url,
        identity=baseline.identity,
        run=baseline.run,
        doubt=baseline.doubt,
        answered_by=baseline.answered_by,
    )


def verdict_record(verdict: Verdict) -> VerdictRecord:
    """A verdict as the manifest of a run records it."""
    interval = verdict.interval
    return VerdictRecord(
        eval_set=verdict.eval_set,
        gate=verdict.gate,
        status=verdict.status.value,
        value=verdict.value,
        low=interval.low if interval else None,
        high=interval.high if interval and isfinite(interval.high) else None,
        planned=verdict.n,
        message=verdict.message,
        rule=verdict.rule,
        baseline=verdict.baseline,
        corrected=verdict.corrected,
        stopping=verdict.stopping,
    )
