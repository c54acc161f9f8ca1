"""Why the evidence before a gate is not whole. Evidence that is not whole is never a pass, whatever it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.comparison import differing_cases

if TYPE_CHECKING:
    from pytest_finetune.verdicts.gates.inputs import GateInputs
    from pytest_finetune.verdicts.gates.verdict import Baseline
    from pytest_finetune.verdicts.metrics.summary import Summary


def what_is_missing(inputs: GateInputs) -> str:
    """One clause for people; empty where the evidence is whole."""
    return (
        plan_fault(inputs)
        # Of the whole plan: what a selection left out is missing from the evidence, whatever the gate's slice is.
        or _unrun(inputs.table.summary)
        or (_errors(inputs.summary, inputs.rule.max_errors) if inputs.too_many_errors else "")
        or (_baseline(inputs) if inputs.rule.compares else "")
    )


def plan_fault(inputs: GateInputs) -> str:
    """Why a plan could not show anything however it is answered; empty where it could."""
    rule, rows, repeats = inputs.rule, inputs.sliced.rows, inputs.table.repeats
    tags = {tag for row in rows for tag in row.case.tags}
    if absent := [tag for tag in rule.tags if tag not in tags]:
        return f"nothing planned: no case has the tag {absent[0]!r}"
    if not rows:
        facts = " and ".join(f"{key} = {value!r}" for key, value in rule.where.items())
        return f"nothing planned: no case has {facts}" if facts else "nothing planned: the eval set holds no case"
    if repeats < 1:
        return "nothing planned: no attempt a case"
    if rule.repeats not in (None, repeats):
        return f"the gate asks for {rule.per_case} attempts a case, and the plan has {repeats}"
    return ""


def _unrun(summary: Summary, whose: str = "") -> str:
    # Unneeded ones count as unrun here: what was decided without them is the business of `Decider` alone.
    unrun = summary.counts[State.UNRUN] + summary.counts[State.UNNEEDED]
    return f"{unrun} of {summary.planned} {whose}samples were not run" if unrun else ""


def _errors(summary: Summary, max_errors: int | None, whose: str = "") -> str:
    errors = summary.counts[State.ERROR]
    return f"{errors} of {summary.planned} {whose}samples ended in an error, and max_errors is {max_errors}"


def _baseline(inputs: GateInputs) -> str:
    # An error of the baseline counts for the new model, so that not one is tolerated there.
    against, baseline = inputs.rule.against, inputs.baseline
    if baseline is None:
        return f"nothing to compare with: needs --baseline {against}"
    if against not in (baseline.name, *baseline.aliases):
        return f"the gate compares with {against}, and the baseline is {baseline.name}: needs --baseline {against}"
    if problem := _staleness(inputs, baseline) or _unrun(inputs.before, "baseline "):
        return problem
    return _errors(inputs.before, 0, "baseline ") if inputs.before.counts[State.ERROR] else ""


def _staleness(inputs: GateInputs, baseline: Baseline) -> str:
    if not baseline.cases_sha256 or baseline.cases_sha256 != inputs.table.cases_sha256:
        return f"{baseline.name} was asked other cases{_examples(inputs, baseline)}: run it again on today's"
    if baseline.repeats != inputs.table.repeats:
        return f"{baseline.name} was asked {baseline.repeats} times a case, this run {inputs.table.repeats} times"
    return ""


def _examples(inputs: GateInputs, baseline: Baseline) -> str:
    theirs = [sample for sample in baseline.samples if sample.eval_set == inputs.table.eval_set]
    ours = [sample for row in inputs.table.rows for sample in row.samples if sample]
    differing = differing_cases(theirs, ours)
    shown = ", ".join(differing[:3]) + (f" and {len(differing) - 3} more" if len(differing) > 3 else "")  # noqa: PLR2004
    return f" ({shown})" if shown else ""
