"""Why the evidence before a gate is not whole. Evidence that is not whole is never a pass, whatever it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.comparison import differing_cases
from pytest_finetune.verdicts.gates.possible import misfit

if TYPE_CHECKING:
    from pytest_finetune.verdicts.gates.question import Question
    from pytest_finetune.verdicts.gates.verdict import Baseline
    from pytest_finetune.verdicts.metrics.summary import Summary


def what_is_missing(question: Question) -> str:
    """One clause for people; empty where the evidence is whole."""
    return (
        plan_fault(question)
        or _unrun(question)
        or _samples(question.summary, question.tolerated)
        or (_baseline(question) if question.gate.against is not None else "")
    )


def _unrun(question: Question) -> str:
    # Of the whole plan: what a selection left out is missing from the evidence, whatever slice the gate looks at.
    planned = {(case.id, attempt) for case in question.cases for attempt in range(question.repeats)}
    missing = (State.UNRUN, State.UNNEEDED)
    found = {
        (sample.case_id, sample.attempt)
        for sample in question.samples
        if sample.eval_set == question.eval_set and sample.state not in missing
    }
    unrun = len(planned - found)
    return f"{unrun} of {len(planned)} samples were not run" if unrun else ""


def plan_fault(question: Question) -> str:
    """Why a plan could not show anything however it is answered; empty where it could."""
    gate = question.gate
    if problem := misfit(gate):
        return problem
    tags = {tag for case in question.chosen for tag in case.tags}
    if absent := [tag for tag in gate.must_pass if tag not in tags]:
        return f"nothing planned: no case has the tag {absent[0]!r}"
    if not question.chosen:
        facts = " and ".join(f"{key} = {value!r}" for key, value in gate.where.items())
        return f"nothing planned: no case has {facts}" if facts else "nothing planned: the eval set holds no case"
    if question.repeats < 1:
        return "nothing planned: no attempt a case"
    if gate.per_case and int(gate.per_case.split()[-1]) != question.repeats:
        return f"the gate asks for {gate.per_case} attempts a case, and the plan has {question.repeats}"
    return ""


def _samples(summary: Summary, max_errors: int, whose: str = "") -> str:
    # Unneeded ones count as unrun here: what was decided without them is the business of `Decider` alone.
    unrun = summary.counts[State.UNRUN] + summary.counts[State.UNNEEDED]
    errors = summary.counts[State.ERROR]
    if unrun:
        return f"{unrun} of {summary.planned} {whose}samples were not run"
    if errors > max_errors:
        return f"{errors} of {summary.planned} {whose}samples ended in an error, and max_errors is {max_errors}"
    return ""


def _baseline(question: Question) -> str:
    # An error of the baseline counts for the new model, so that not one is tolerated there.
    against, baseline = question.gate.against, question.baseline
    if baseline is None:
        return f"nothing to compare with: needs --baseline {against}"
    if against not in (baseline.name, *baseline.aliases):
        return f"the gate compares with {against}, and the baseline is {baseline.name}: needs --baseline {against}"
    return _staleness(question, baseline) or _samples(question.before, 0, "baseline ")


def _staleness(question: Question, baseline: Baseline) -> str:
    if not baseline.cases_sha256 or baseline.cases_sha256 != question.cases_sha256:
        return f"{baseline.name} was asked other cases{_examples(question, baseline)}: run it again on today's"
    if baseline.repeats != question.repeats:
        return f"{baseline.name} was asked {baseline.repeats} times a case, this run {question.repeats} times"
    return ""


def _examples(question: Question, baseline: Baseline) -> str:
    def ours(name: str) -> bool:
        return name == question.eval_set

    differing = differing_cases(
        [sample for sample in baseline.samples if ours(sample.eval_set)],
        [sample for sample in question.samples if ours(sample.eval_set)],
    )
    shown = ", ".join(differing[:3]) + (f" and {len(differing) - 3} more" if len(differing) > 3 else "")  # noqa: PLR2004
    return f" ({shown})" if shown else ""
