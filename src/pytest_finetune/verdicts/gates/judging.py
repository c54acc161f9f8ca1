"""From gates and samples to verdicts: first whether the evidence is complete, then what it shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.verdicts.gates.bars import judge_bar, judge_must_pass
from pytest_finetune.verdicts.gates.baselines import judge_drop, judge_flips
from pytest_finetune.verdicts.gates.completeness import what_is_missing
from pytest_finetune.verdicts.gates.families import judge_in_families
from pytest_finetune.verdicts.gates.inputs import GateInputs
from pytest_finetune.verdicts.gates.sequential import deciding_look, judge_sequential
from pytest_finetune.verdicts.gates.verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.gates.verdict import Baseline
    from pytest_finetune.verdicts.metrics import SampleTable
    from pytest_finetune.verdicts.rule import Rule


def judge(
    rules: Sequence[Rule], table: SampleTable, baseline: Baseline | None = None, *, stopped: bool = False
) -> list[Verdict]:
    """
    One verdict per rule, in their order.

    Args:
        rules: What the set is judged by: `settings.judged_by`.
        table: The whole plan with what came of it; what is missing counts as unrun.
        baseline: The run that `against` compares with.
        stopped: The missing samples are said to be those that sequential gates did not need. That is checked, by the
            boundaries: if any gate still needs one of them, they are missing for all gates.

    Raises:
        ValueError: Two samples of the baseline claim one place in the plan.
    """
    inputs = inputs_of(rules, table, baseline)
    stopped = stopped and is_decided(inputs)
    return judge_in_families(inputs, partial(_judge, stopped=stopped))


def inputs_of(rules: Sequence[Rule], table: SampleTable, baseline: Baseline | None = None) -> list[GateInputs]:
    """What each rule is judged by."""
    before = table_of(baseline, table) if baseline and any(rule.compares for rule in rules) else None
    return [GateInputs(rule, table.part(rule.scorer), baseline, before and before.part(rule.scorer)) for rule in rules]


def is_decided(inputs: Sequence[GateInputs]) -> bool:
    """Whether the gates of a set, at least one of which is sequential, need no sample that is missing."""
    return any(each.rule.sequential for each in inputs) and all(map(needs_no_more, inputs))


def needs_no_more(inputs: GateInputs) -> bool:
    """Whether a gate is decided: a sequential one at a look, any other one when all its cases are there."""
    if inputs.rule.sequential:
        return deciding_look(inputs) is not None
    counts = inputs.summary.counts
    return not counts[State.UNRUN] + counts[State.UNNEEDED]


def table_of(baseline: Baseline, table: SampleTable) -> SampleTable | None:
    """The baseline's samples in the same plan; None if it ran on other cases or with other repeats."""
    theirs, ours = (baseline.cases_sha256, baseline.repeats), (table.cases_sha256, table.repeats)
    return table.with_samples(baseline.samples) if theirs == ours and baseline.cases_sha256 else None


def _judge(inputs: GateInputs, *, stopped: bool) -> Verdict:
    if missing := what_is_missing(inputs, stopped=stopped):
        return inputs.verdict(Status.INCOMPLETE, f"incomplete: {missing}")
    if inputs.rule.sequential:
        return judge_sequential(inputs)
    judges = {"max_drop": judge_drop, "max_flips": judge_flips, "must_pass": judge_must_pass}
    return judges.get(inputs.rule.kind, judge_bar)(inputs)
