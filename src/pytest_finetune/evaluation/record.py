"""The record of an evaluation: created or resumed before the requests, its outcome written after them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.evaluation.baseline import answered_names
from pytest_finetune.evaluation.results import verdict_record
from pytest_finetune.evaluation.runs import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Failure, Sample
    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore, TargetInfo, VerdictRecord

UNRECORDED = "record"
"""Kind of the failure that stops an evaluation whose record cannot be written."""


def open_run(
    store: RunStore,
    target: TargetInfo,
    plans: Sequence[EvalSetPlan],
    *,
    folder: Path,
    resume: bool,
    closed_too: bool,
    shard: str = "",
) -> tuple[Run, bool]:
    """
    Create the record of a plan, or resume an earlier run of it; also returns whether it was resumed.

    A closed run whose seal is broken is no evidence, so a new one is created.

    Raises:
        RunError: There is no run to resume.
    """
    earlier = store.resume(target, plans, closed_too=closed_too, shard=shard) if resume else None
    if earlier is None or (earlier.manifest.closed and earlier.seal_fault):
        return store.create(target, plans, folder=folder, shard=shard), False
    return earlier, True


def write_outcome(
    run: Run,
    results: Sequence[SetResult],
    samples: Mapping[Key, Sample],
    *,
    stopped: Failure | None,
    warnings: tuple[str, ...],
) -> None:
    """
    Write verdicts and totals; the run is closed, for good, only if no sample is missing.

    A shard has no verdicts: what it was not to request is not missing, and no verdict holds without it.

    Raises:
        RunError: The record is damaged or cannot be written.
    """
    unrecorded = stopped is not None and stopped.kind == UNRECORDED
    closed = all(result.complete for result in results) and not unrecorded
    if closed:
        run.settle(samples)
    run.update(
        closed=closed,
        closed_at=datetime.now(UTC) if closed else None,
        stopped=stopped.message if stopped else "",
        stopped_kind=stopped.kind if stopped else "",
        stopped_status=stopped.status if stopped else None,
        answered_by=answered_names(samples.values()),
        baselines=tuple(dict.fromkeys(one for result in results if (one := result.baseline_record))),
        verdicts=() if run.manifest.shard and not closed else _verdicts(results),
        totals=totals_of(results, samples.values()),
        unneeded_by_set={result.name: result.unneeded for result in results if result.unneeded},
        warnings=warnings,
    )


def _verdicts(results: Sequence[SetResult]) -> tuple[VerdictRecord, ...]:
    return tuple(verdict_record(verdict) for result in results for verdict in result.verdicts)


def totals_of(results: Sequence[SetResult], samples: Iterable[Sample]) -> Totals:
    """Counts over the whole plan, and what its samples cost."""
    counts: Counter[State] = Counter()
    for result in results:
        counts.update(result.summary.counts)
    # A sample that was not needed was never sent, so it has no price.
    sent = [sample for sample in samples if sample.state is not State.UNNEEDED]
    costs = [cost for sample in sent if (cost := sample.total_cost) is not None]
    return Totals(
        planned=counts.total(),
        **{state.value: counts[state] for state in (State.PASSED, State.MISSED, State.ERROR)},
        unrun=sum(result.unrun for result in results),
        unneeded=sum(result.unneeded for result in results),
        from_cache=sum(1 for sample in sent if sample.completion and sample.completion.from_cache),
        cost=sum(costs, Decimal(0)) if len(costs) == len(sent) else None,
    )
