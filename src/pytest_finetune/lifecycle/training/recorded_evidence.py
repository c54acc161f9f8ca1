"""What run records, jobs and checkpoints tell of a model, gathered for its diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError, did_you_mean
from pytest_finetune.base.records import Case, State
from pytest_finetune.lifecycle.training.curves import valid_loss
from pytest_finetune.lifecycle.training.evidence import LearningPoint, Rate
from pytest_finetune.verdicts.metrics import Summary, summarize
from pytest_finetune.verdicts.metrics.measure import exact_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_finetune.base.records import FormatFailure, Sample
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore
    from pytest_finetune.lifecycle.training.job import JobCheckpoint


@dataclass(frozen=True, slots=True)
class Answers:
    """
    What one run answered to one eval set.

    Args:
        accuracy: Right answers; what never came counts as not right.
        invalid: Answers out of form.
        unstable: Cases whose repeated answers differ in shape; None where nothing was repeated.
        failures: Kinds of what is out of form.
        missing: Planned answers that never came.
    """

    accuracy: Rate
    invalid: Rate
    unstable: Rate | None
    failures: Mapping[FormatFailure, int]
    missing: int


def plan_of(run: Run, name: str = "") -> EvalSetPlan:
    """
    The eval set of a run that is meant: the one of that name, or its only one.

    Raises:
        RunError: There is no such set, or several and none was named.
    """
    plans = {plan.name: plan for plan in run.manifest.eval_sets}
    if name in plans:
        return plans[name]
    if name:
        raise RunError(f"the run has no eval set {name!r}", run.id, did_you_mean(name, plans))
    if len(plans) != 1:
        names = ", ".join(plans)
        raise RunError(f"the run has {len(plans)} eval sets", run.id, f"name one with --eval-set: {names}")
    return next(iter(plans.values()))


def answers_of(run: Run, plan: EvalSetPlan) -> Answers:
    """
    What a run answered to one of its eval sets, from its record alone.

    Raises:
        RunError: The record is damaged.
    """
    mine = [sample for sample in run.samples().values() if sample.eval_set == plan.name]
    summary = summarize(mine, _cases(mine, plan), repeats=plan.repeats)
    repeated = plan.repeats > 1
    return Answers(
        accuracy=_rate(summary, "accuracy"),
        invalid=Rate(_invalid(summary), len(summary.rows)),
        unstable=_complement(_rate(summary, "format_stability")) if repeated else None,
        failures=summary.format_failures,
        missing=summary.counts[State.ERROR] + summary.counts[State.UNRUN],
    )


def learning_curve(
    checkpoints: Iterable[JobCheckpoint], store: RunStore, plan: EvalSetPlan
) -> tuple[LearningPoint, ...]:
    """The checkpoints of a job with their losses, and with their accuracy where a run of the same cases has it."""
    recorded = _recorded(store, plan)
    return tuple(
        LearningPoint(
            checkpoint.step,
            checkpoint.model,
            valid_loss(checkpoint.metrics),
            recorded.get(checkpoint.model),
        )
        for checkpoint in checkpoints
    )


def _recorded(store: RunStore, plan: EvalSetPlan) -> dict[str, Rate]:
    """The accuracy of every model that a closed run asked the same cases as often, the newest run first."""
    from pytest_finetune.evaluation.runs import Run

    found: dict[str, Rate] = {}
    for path in store.newest_first():
        try:
            run = Run.load(path)
            same = [p for p in run.manifest.eval_sets if _is_same(p, plan)]
            if same and run.manifest.closed and run.manifest.target.model not in found:
                found[run.manifest.target.model] = answers_of(run, same[0]).accuracy
        except RunError:
            # A damaged record of some other evaluation is no reason to stop.
            continue
    return found


def _is_same(one: EvalSetPlan, other: EvalSetPlan) -> bool:
    keys = ("cases_sha256", "settings_sha256", "schema_sha256", "repeats")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _cases(samples: Sequence[Sample], plan: EvalSetPlan) -> list[Case]:
    """A stand-in for each case of the plan: figures need no more of it than its name."""
    known = dict.fromkeys(sample.case_id for sample in samples)
    never = (f"never asked {number}" for number in range(plan.cases - len(known)))
    return [Case(name, 0, ()) for name in (*known, *never)]


def _rate(summary: Summary, metric: str) -> Rate:
    return Rate(float(exact_sum(summary.shares(metric))), len(summary.rows))


def _complement(rate: Rate) -> Rate:
    return Rate(rate.cases - rate.count, rate.cases)


def _invalid(summary: Summary) -> float:
    """Sum of the cases' shares of answers out of form; what never came has no form."""
    return sum(sum(score.format_failure is not None for score in row.scores) / len(row.samples) for row in summary.rows)
