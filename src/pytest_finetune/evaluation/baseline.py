"""`--baseline`: a recorded run, or a model evaluated in the same session, to compare the new model with."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Failure, State
from pytest_finetune.verdicts.gates import Baseline

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, TargetInfo
    from pytest_finetune.verdicts.evalset import EvalSet

Baselines = dict[str, Baseline]
"""By name of the eval set; sets that the baseline did not run on are absent."""


def missing_baselines(eval_sets: Iterable[EvalSet], compared: Container[str]) -> list[str]:
    """
    A warning for each eval set whose gates compare with a baseline that it does not have.

    Args:
        eval_sets: All of the session.
        compared: Names of those that have a baseline.
    """
    against = {one.name: {rule.against for rule in one.settings.rules if rule.against} for one in eval_sets}
    return [
        f"{name} is compared with {min(names)}, but has no --baseline"
        for name, names in against.items()
        if names and name not in compared
    ]


def recorded_baselines(name: str, run: Run, eval_sets: Sequence[EvalSet]) -> Baselines:
    """
    A recorded run as the baseline of each set that it ran on, scored with the current settings.

    Args:
        name: Its name in reports.
        run: The record.
        eval_sets: The current ones.

    Raises:
        RunError: The record is damaged.
        ScorerError: The user's scoring function failed on a recorded answer.
    """
    plans = {plan.name: plan for plan in run.manifest.eval_sets}
    samples = list(run.samples().values())
    found: Baselines = {}
    for eval_set in eval_sets:
        if (plan := plans.get(eval_set.name)) is None:
            continue
        of_set = [sample for sample in samples if sample.eval_set == eval_set.name]
        if plan.cases_sha256 == eval_set.cases_sha256 and not _is_scored_alike(run, plan, eval_set):
            of_set = _scored_again(of_set, eval_set, run.manifest.target.model)
        target = run.manifest.target
        found[eval_set.name] = Baseline(
            name,
            plan.cases_sha256,
            plan.repeats,
            of_set,
            _aliases(eval_set),
            model=target.model,
            base_url=target.base_url,
            identity=target.identity,
            run=run.id,
            doubt=_doubt(run, plan, eval_set),
            answered_by=run.manifest.answered_by,
            request=plan.request,
        )
    return found


def session_baselines(
    name: str,
    target: TargetInfo,
    samples: Mapping[tuple[str, str, int], Sample],
    eval_sets: Sequence[EvalSet],
    *,
    run: str = "",
) -> Baselines:
    """A model of this session, recorded in the run with this id, as the baseline of every set."""
    return {
        eval_set.name: Baseline(
            name=name,
            cases_sha256=eval_set.cases_sha256,
            repeats=eval_set.repeats,
            samples=[sample for sample in samples.values() if sample.eval_set == eval_set.name],
            aliases=_aliases(eval_set),
            model=target.model,
            base_url=target.base_url,
            identity=target.identity,
            run=run,
            answered_by=answered_names(samples.values()),
            request=eval_set.form(target.model).recorded,
        )
        for eval_set in eval_sets
    }


def answered_names(samples: Iterable[Sample]) -> tuple[str, ...]:
    """The names that the server answered under; an empty one where it did not say."""
    return tuple(sorted({sample.completion.model for sample in samples if sample.completion}))


def _doubt(run: Run, plan: EvalSetPlan, eval_set: EvalSet) -> str:
    """Why a record does not show how its model answers under the current settings; empty if it does."""
    if run.manifest.target.spec.startswith("replay:"):
        return "its run is itself a replay"
    if run.manifest.target.spec.startswith("imported:"):
        return "its answers were recorded elsewhere"
    if not run.manifest.closed:
        return "its run is open"
    if fault := run.seal_fault:
        return f"its run {fault}"
    if (plan.settings_sha256, plan.schema_sha256) != (eval_set.settings_sha256, eval_set.schema_sha256):
        return "its run used other settings"
    return ""


def _is_scored_alike(run: Run, plan: EvalSetPlan, eval_set: EvalSet) -> bool:
    then = (plan.settings_sha256, plan.schema_sha256, run.manifest.versions.pytest_finetune)
    return then == (eval_set.settings_sha256, eval_set.schema_sha256, version("pytest-finetune"))


def _scored_again(samples: Sequence[Sample], eval_set: EvalSet, model: str) -> list[Sample]:
    cases = {case.id: case for case in eval_set.cases}
    return [_scored(sample, cases[sample.case_id], eval_set, model) for sample in samples if sample.case_id in cases]


def _scored(sample: Sample, case: Case, eval_set: EvalSet, model: str) -> Sample:
    if sample.completion is None:
        return sample
    completion = eval_set.form(model).answer(sample.completion)
    if asking := next(iter(eval_set.asking.values()), None):
        problem = f"{asking.name} has not seen it under these settings: evaluate replay:RUN first"
        return replace(sample, completion=completion, score=None, state=State.ERROR, failure=Failure("scorer", problem))
    score = eval_set.score(case, completion)
    state = State.PASSED if score.passed else State.MISSED
    return replace(sample, completion=completion, score=score, failure=None, state=state)


def _aliases(eval_set: EvalSet) -> tuple[str, ...]:
    # A baseline named on the command line is meant, whatever the gates call it.
    return tuple(rule.against for rule in eval_set.settings.rules if rule.against)
