"""Evidence for a diagnosis, from run records, jobs and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError, did_you_mean
from pytest_finetune.base.records import Case, State
from pytest_finetune.evaluation.runs.copies import groups_of_cases
from pytest_finetune.lifecycle.training.curves import valid_loss
from pytest_finetune.lifecycle.training.evidence import LearningPoint, Rate
from pytest_finetune.verdicts.metrics import Summary, summarize
from pytest_finetune.verdicts.metrics.measure import exact_sum
from pytest_finetune.verdicts.stats.groups import effective_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_finetune.base.records import FormatFailure, Sample
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore
    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint


@dataclass(frozen=True, slots=True)
class RecordedAnswers:
    """
    The answers of one run to one eval set.

    Args:
        accuracy: Accuracy; a missing answer counts as wrong.
        invalid: Rate of answers with a format failure.
        unstable: Rate of cases whose repeated answers differ in shape; None if nothing was repeated.
        failures: Number of format failures by kind.
        missing: Planned answers that were never received.
    """

    accuracy: Rate
    invalid: Rate
    unstable: Rate | None
    failures: Mapping[FormatFailure, int]
    missing: int


def eval_set_plan(run: Run, name: str = "") -> EvalSetPlan:
    """
    The eval set of a run with a name; without a name, its only one.

    Raises:
        RunError: There is no such eval set, or no name was given and there are several.
    """
    plans = {plan.name: plan for plan in run.manifest.eval_sets}
    if name in plans:
        return plans[name]
    if name:
        raise RunError(f"the run has no eval set {name!r}", run.id, did_you_mean(name, plans))
    if len(plans) != 1:
        names = ", ".join(plans)
        raise RunError(f"the run has {len(plans)} eval sets", run.id, f"choose one with --eval-set: {names}")
    return next(iter(plans.values()))


def answers_of(run: Run, plan: EvalSetPlan) -> RecordedAnswers:
    """
    The answers of a run to one of its eval sets, from its record alone.

    Raises:
        RunError: The record is damaged.
    """
    of_set = [sample for sample in run.samples().values() if sample.eval_set == plan.name]
    summary = summarize(of_set, _cases(of_set, plan, groups_of_cases(run, plan)), repeats=plan.repeats)
    repeated = plan.repeats > 1
    return RecordedAnswers(
        accuracy=_rate(summary, "accuracy"),
        invalid=_rate_of(summary, _invalid(summary)),
        unstable=_complement(_rate(summary, "format_stability")) if repeated else None,
        failures=summary.format_failures,
        missing=summary.counts[State.ERROR] + summary.counts[State.UNRUN],
    )


def learning_curve(
    checkpoints: Iterable[FineTuningCheckpoint], store: RunStore, plan: EvalSetPlan
) -> tuple[LearningPoint, ...]:
    """The checkpoints of a job with their losses, and their accuracy if a recorded run has the same cases."""
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
    """The accuracy of each model in its newest closed run over the same cases, settings and repeats."""
    from pytest_finetune.evaluation.runs import Run

    found: dict[str, Rate] = {}
    for path in store.newest_first():
        try:
            run = Run.load(path)
            same = [p for p in run.manifest.eval_sets if _is_same(p, plan)]
            model = run.manifest.target.model
            if same and run.manifest.closed and model not in found and not run.seal_fault:
                found[model] = answers_of(run, same[0]).accuracy
        except RunError:
            # A damaged record of another evaluation does not matter here.
            continue
    return found


def _is_same(one: EvalSetPlan, other: EvalSetPlan) -> bool:
    keys = ("cases_sha256", "settings_sha256", "schema_sha256", "repeats")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _cases(samples: Sequence[Sample], plan: EvalSetPlan, groups: Mapping[str, str]) -> list[Case]:
    """A placeholder for each planned case: the metrics only need its id and group."""
    known = dict.fromkeys(sample.case_id for sample in samples)
    never = (f"missing {number}" for number in range(plan.cases - len(known)))
    return [Case(name, 0, (), group=groups.get(name, "")) for name in (*known, *never)]


def _rate(summary: Summary, metric: str) -> Rate:
    return _rate_of(summary, summary.shares(metric))


def _rate_of(summary: Summary, shares: Sequence[Fraction]) -> Rate:
    worth = None if summary.groups is None else effective_size(list(map(float, shares)), summary.groups)
    return Rate(float(exact_sum(shares)), len(shares), worth)


def _complement(rate: Rate) -> Rate:
    return Rate(rate.cases - rate.count, rate.cases, rate.worth)


def _invalid(summary: Summary) -> list[Fraction]:
    """The share of format failures of each case; a missing answer is not one."""
    return [
        Fraction(sum(score.format_failure is not None for score in row.scores), len(row.samples))
        for row in summary.rows
    ]
