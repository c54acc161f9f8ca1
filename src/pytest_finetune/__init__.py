"""
pytest-finetune: eval sets as pytest cases, so that a fine-tuned model ships on evidence.

The names in `__all__` are the public API; docs/api.md describes them. Everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.lifecycle.data.check import check as check_data
    from pytest_finetune.lifecycle.data.check_options import CheckOptions
    from pytest_finetune.lifecycle.evaluating import EvaluationResult, evaluate
    from pytest_finetune.lifecycle.rollout import ModelRouter
    from pytest_finetune.lifecycle.rollout.routing import Route
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.loading import load_eval_sets

__version__ = "0.1.0"

__all__ = [
    "Case",
    "CheckOptions",
    "Completion",
    "DataError",
    "EvalSet",
    "EvalSetErrors",
    "EvaluationResult",
    "Failure",
    "FinetuneError",
    "FormatFailure",
    "Message",
    "ModelRouter",
    "RegistryError",
    "Request",
    "Route",
    "Run",
    "RunError",
    "RunStore",
    "Sample",
    "Score",
    "Scorer",
    "ScorerError",
    "State",
    "Target",
    "ToolCall",
    "Usage",
    "check_data",
    "evaluate",
    "load_eval_sets",
]

_MODULES = {
    "base.errors": ("DataError", "EvalSetErrors", "FinetuneError", "RegistryError", "RunError", "ScorerError"),
    "evaluation.runs": ("Run", "RunStore"),
    "evaluation.targets": ("Target",),
    "lifecycle.data.check": ("check_data",),
    "lifecycle.data.check_options": ("CheckOptions",),
    "lifecycle.evaluating": ("EvaluationResult", "evaluate"),
    "lifecycle.rollout": ("ModelRouter",),
    "lifecycle.rollout.routing": ("Route",),
    "verdicts.evalset": ("EvalSet",),
    "verdicts.evalset.scorer": ("Scorer",),
    "verdicts.loading": ("load_eval_sets",),
}
"""Where the names are defined; those that are not here, in `base.records`."""


def __getattr__(name: str) -> Any:
    # pytest imports this package in every session, most of which name no model.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = next((module for module, names in _MODULES.items() if name in names), "base.records")
    return getattr(import_module(f"{__name__}.{module}"), {"check_data": "check"}.get(name, name))
