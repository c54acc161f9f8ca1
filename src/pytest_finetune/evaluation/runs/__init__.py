"""The run record on disk: the plan, the answers and the verdicts. A closed run never changes."""

from pytest_finetune.evaluation.runs.manifest import (
    BaselineRecord,
    EvalSetPlan,
    Manifest,
    SentBatch,
    TargetInfo,
    Totals,
    VerdictRecord,
    plan_sha256,
)
from pytest_finetune.evaluation.runs.run import Run
from pytest_finetune.evaluation.runs.samples import prompt_sha256, sample_from_dict, sample_to_dict
from pytest_finetune.evaluation.runs.store import RunStore

__all__ = [
    "BaselineRecord",
    "EvalSetPlan",
    "Manifest",
    "Run",
    "RunStore",
    "SentBatch",
    "TargetInfo",
    "Totals",
    "VerdictRecord",
    "plan_sha256",
    "prompt_sha256",
    "sample_from_dict",
    "sample_to_dict",
]
