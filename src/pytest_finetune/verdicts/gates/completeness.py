"""Why a gate's evidence is incomplete. Incomplete evidence is never a pass, whatever the answers say."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.comparison import differing_cases
from pytest_finetune.verdicts.field_paths import is_unknown
from pytest_finetune.verdicts.metrics.confidence import CONFIDENCE_METRICS
from pytest_finetune.verdicts.metrics.measure import QUANTILES
from pytest_finetune.verdicts.metrics.parts import is_unscored

if TYPE_CHECKING:
    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Baseline
    from pytest_finetune.verdicts.metrics.summary import Summary


def what_is_missing(inputs: GateInputs, *, stopped: bool = False) -> str:
    """
    The first gap in the evidence, in one clause; empty if it is complete.

    Args:
        inputs: The gate and its evidence.
        stopped: The gates of the set are decided by those of its cases that were asked.
    """
    return (
        plan_fault(inputs)
        or _no_opponent(inputs)
        or _uncalibrated(inputs)
        # Over the whole plan, not the gate's slice: deselected cases make every verdict of the set incomplete.
        or ("" if stopped else _unrun(inputs.table.summary))
        or _unscored(inputs.summary, inputs.rule.scorer)
        or (_errors(inputs.summary, inputs.rule.max_errors) if inputs.too_many_errors else "")
        or (_probabilities(inputs.summary, inputs.rule.metric) if inputs.rule.metric in CONFIDENCE_METRICS else "")
        or _batched(inputs.summary, inputs.rule.metric)
        or (_baseline(inputs) if inputs.rule.compares else "")
        or (_not_sequential(inputs) if inputs.rule.sequential else "")
    )


def plan_fault(inputs: GateInputs) -> str:
    """Why no answers to this plan could pass or fail the gate; empty if they could."""
    rule, rows, repeats = inputs.rule, inputs.sliced.rows, inputs.table.repeats
    tags = {tag for row in rows for tag in row.case.tags}
    if absent := [tag for tag in rule.tags if tag not in tags]:
        return f"nothing planned: no case has the tag {absent[0]!r}"
    if not rows:
        facts = " and ".join(f"{key} = {value!r}" for key, value in rule.where.items())
        return f"nothing planned: no case has {facts}" if facts else "nothing planned: the eval set holds no case"
    if rule.of_label and not inputs.summary.recalled:
        return f"nothing planned: no case expects the label {rule.of_label!r}"
    if repeats < 1:
        return "nothing planned: no attempts per case"
    if rule.repeats not in (None, repeats):
        return f"per_case is {rule.per_case!r}, but there are {repeats} attempts per case"
    return ""


def _not_sequential(inputs: GateInputs) -> str:
    """Why the boundaries of a sequential gate do not hold; loading an eval set refuses the same."""
    if inputs.calibration is not None:
        return "sequential does not correct for the errors of a judge"
    return "sequential counts independent cases, and some are in groups" if inputs.summary.groups is not None else ""


def _no_opponent(inputs: GateInputs) -> str:
    if inputs.rule.metric != "win_rate":
        return ""
    if inputs.baseline is None:
        return "no baseline to compare with: needs --baseline=replay:RUN"
    return (
        f"the baseline {inputs.baseline.name} is the model itself: {inputs.baseline.itself}"
        if inputs.baseline.itself
        else ""
    )


def _uncalibrated(inputs: GateInputs) -> str:
    if inputs.calibration is None or not inputs.calibration.fault:
        return ""
    named = f" --scorer {quote(inputs.rule.scorer)}" if inputs.rule.scorer else ""
    return f"{inputs.calibration.fault}: run pytest-finetune gates calibrate {inputs.table.eval_set}{named}"


def _unrun(summary: Summary, whose: str = "") -> str:
    # Samples that were not needed count as unrun here: only `Decider` can judge without them.
    unrun = summary.counts[State.UNRUN] + summary.counts[State.UNNEEDED]
    return f"{unrun} of {summary.planned} {whose}samples were not run" if unrun else ""


def _errors(summary: Summary, max_errors: int | None, whose: str = "") -> str:
    errors = summary.counts[State.ERROR]
    return f"{errors} of {summary.planned} {whose}samples ended in an error, and max_errors is {max_errors}"


def _probabilities(summary: Summary, metric: str) -> str:
    """Some servers return no logprobs, and some models refuse them; what is not known is not assumed to be good."""
    if not summary.without_probability:
        return ""
    missing = f"{summary.without_probability} of {len(summary.completions)} answers have no logprobs of their text"
    remedy = "set logprobs = true in [request], and use a model and server that return them (docs/models.md)"
    return f"{missing}, so {metric} is unknown: {remedy}"


def _batched(summary: Summary, metric: str) -> str:
    """What a batch does not measure: production sends its requests one by one, at another price."""
    if metric not in (*QUANTILES, "cost_per_case"):
        return ""
    count = sum(completion.batched for completion in summary.completions)
    what = "is not measured" if metric in QUANTILES else "is the price of batches"
    return f"{metric} {what}: {count} of {len(summary.completions)} answers came in a batch" if count else ""


def _unscored(summary: Summary, scorer: str, whose: str = "") -> str:
    # Not tolerated like other errors: that the record lacks the scores says nothing about the model.
    if missing := sum(is_unscored(sample) for row in summary.rows for sample in row.samples):
        return f"{missing} of {summary.planned} {whose}samples have no score of {scorer}: score them with replay:"
    return ""


def _baseline(inputs: GateInputs) -> str:
    # An error in the baseline would favour the new model, so none is tolerated.
    against, baseline = inputs.rule.against, inputs.baseline
    if baseline is None:
        return f"no baseline to compare with: needs --baseline {against}"
    if baseline.itself:
        return f"the baseline {baseline.name} is the model itself: {baseline.itself}"
    if against not in (baseline.name, *baseline.aliases):
        return f"the gate compares with {against}, but the baseline is {baseline.name}: needs --baseline {against}"
    if problem := _staleness(inputs, baseline) or _unrun(inputs.before, "baseline "):
        return problem
    if inputs.before.counts[State.ERROR]:
        return _unscored(inputs.before, inputs.rule.scorer, "baseline ") or _errors(inputs.before, 0, "baseline ")
    return _unknown_fields(inputs.before, baseline.name) if inputs.rule.field else ""


def _unknown_fields(before: Summary, name: str) -> str:
    """Records of earlier versions say how many fields are wrong, but not which: that must not look like a low bar."""
    if any(is_unknown(score) for row in before.rows for score in row.scores):
        return f"the record of {name} does not say which fields are wrong: score it again with replay:"
    return ""


def _staleness(inputs: GateInputs, baseline: Baseline) -> str:
    if not baseline.cases_sha256 or baseline.cases_sha256 != inputs.table.cases_sha256:
        return f"{baseline.name} ran on different cases{_examples(inputs, baseline)}: run it again on the current ones"
    if baseline.repeats != inputs.table.repeats:
        return f"{baseline.name} has {baseline.repeats} attempts per case, this run has {inputs.table.repeats}"
    return ""


def _examples(inputs: GateInputs, baseline: Baseline) -> str:
    theirs = [sample for sample in baseline.samples if sample.eval_set == inputs.table.eval_set]
    ours = [sample for row in inputs.table.rows for sample in row.samples if sample]
    differing = differing_cases(theirs, ours)
    shown = ", ".join(differing[:3]) + (f" and {len(differing) - 3} more" if len(differing) > 3 else "")  # noqa: PLR2004
    return f" ({shown})" if shown else ""
