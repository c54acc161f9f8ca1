"""
pytest-finetune: eval sets as pytest cases, so that a fine-tuned model ships on evidence.

The names in `__all__` are the public API; docs/api.md describes them. Everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finetune.api.evaluating import evaluate, evaluate_async
    from pytest_finetune.api.gate import Gate
    from pytest_finetune.api.loading import load_eval_set, read_registry
    from pytest_finetune.api.result import EvaluationResult, SampleResult
    from pytest_finetune.base.errors import (
        DataError,
        EvalSetErrors,
        FinetuneError,
        RegistryError,
        RunError,
        ScorerError,
    )
    from pytest_finetune.base.records import (
        Case,
        Completion,
        Failure,
        FormatFailure,
        Message,
        Request,
        Sample,
        Score,
        State,
        ToolCall,
        Usage,
    )
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.lifecycle.data.check import check as check_data
    from pytest_finetune.lifecycle.data.check_options import CheckOptions
    from pytest_finetune.lifecycle.registry.entry import Entry, Registry, VersionStatus
    from pytest_finetune.lifecycle.rollout import ModelRouter
    from pytest_finetune.lifecycle.rollout.routing import Route
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.gates import Status, Verdict
    from pytest_finetune.verdicts.loading import load_eval_sets
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.metrics.measure import Measure
    from pytest_finetune.verdicts.stats import Interval

__version__ = "0.1.0"

__all__ = [
    "Case",
    "CheckOptions",
    "Completion",
    "DataError",
    "Entry",
    "EvalSet",
    "EvalSetErrors",
    "EvaluationResult",
    "Failure",
    "FinetuneError",
    "FormatFailure",
    "Gate",
    "Interval",
    "Measure",
    "Message",
    "ModelRouter",
    "Registry",
    "RegistryError",
    "Request",
    "Route",
    "Run",
    "RunError",
    "RunStore",
    "Sample",
    "SampleResult",
    "Score",
    "Scorer",
    "ScorerError",
    "SetResult",
    "State",
    "Status",
    "Summary",
    "Target",
    "ToolCall",
    "Usage",
    "Verdict",
    "VersionStatus",
    "check_data",
    "evaluate",
    "evaluate_async",
    "load_eval_set",
    "load_eval_sets",
    "read_registry",
]

_MODULES = {
    "api.evaluating": ("evaluate", "evaluate_async"),
    "api.gate": ("Gate",),
    "api.loading": ("load_eval_set", "read_registry"),
    "api.result": ("EvaluationResult", "SampleResult"),
    "base.errors": ("DataError", "EvalSetErrors", "FinetuneError", "RegistryError", "RunError", "ScorerError"),
    "evaluation.results": ("SetResult",),
    "evaluation.runs": ("Run", "RunStore"),
    "evaluation.targets": ("Target",),
    "lifecycle.data.check": ("check_data",),
    "lifecycle.data.check_options": ("CheckOptions",),
    "lifecycle.registry.entry": ("Entry", "Registry", "VersionStatus"),
    "lifecycle.rollout": ("ModelRouter",),
    "lifecycle.rollout.routing": ("Route",),
    "verdicts.evalset": ("EvalSet",),
    "verdicts.evalset.scorer": ("Scorer",),
    "verdicts.gates": ("Status", "Verdict"),
    "verdicts.loading": ("load_eval_sets",),
    "verdicts.metrics": ("Summary",),
    "verdicts.metrics.measure": ("Measure",),
    "verdicts.stats": ("Interval",),
}
"""Where the names are defined; those that are not here, in `base.records`."""


def __getattr__(name: str) -> Any:
    # pytest imports this package in every session, most of which name no model.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = next((module for module, names in _MODULES.items() if name in names), "base.records")
    return getattr(import_module(f"{__name__}.{module}"), {"check_data": "check"}.get(name, name))
