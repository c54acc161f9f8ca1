"""From gates and samples to verdicts: first whether the evidence is whole, then what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.bars import judge_bar, judge_must_pass
from pytest_finetune.verdicts.gates.baselines import judge_against
from pytest_finetune.verdicts.gates.completeness import what_is_missing
from pytest_finetune.verdicts.gates.inputs import GateInputs
from pytest_finetune.verdicts.gates.verdict import Status, Verdict

if TYPE_CHECKING:
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.gates.verdict import Baseline
    from pytest_finetune.verdicts.metrics import SampleTable


def judge(settings: EvalSettings, table: SampleTable, baseline: Baseline | None = None) -> list[Verdict]:
    """
    The verdicts of all gates of one eval set, in the order they were written.

    Args:
        settings: With the gates and the tolerated errors.
        table: The whole plan with what came of it; what is missing counts as unrun.
        baseline: The run that `against` compares with.

    Raises:
        ValueError: Two samples of the baseline claim one place in the plan.
    """
    compares = any(gate.against is not None for gate in settings.judged_by)
    before = table_of(baseline, table) if baseline and compares else None
    return [_judge(GateInputs(gate, settings.max_errors, table, baseline, before)) for gate in settings.judged_by]


def table_of(baseline: Baseline, table: SampleTable) -> SampleTable | None:
    """The baseline's samples in the same plan; None where it was asked other cases, or another number of times."""
    theirs, ours = (baseline.cases_sha256, baseline.repeats), (table.cases_sha256, table.repeats)
    return table.with_samples(baseline.samples) if theirs == ours and baseline.cases_sha256 else None


def _judge(inputs: GateInputs) -> Verdict:
    if missing := what_is_missing(inputs):
        return inputs.verdict(Status.INCOMPLETE, f"incomplete: {missing}")
    if inputs.gate.must_pass:
        return judge_must_pass(inputs)
    if inputs.gate.against is not None:
        return judge_against(inputs)
    return judge_bar(inputs)
