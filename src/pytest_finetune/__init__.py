"""pytest-finetune: eval sets as pytest cases, so that a fine-tuned model ships on evidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finetune.base.errors import FinetuneError
    from pytest_finetune.base.records import Case, Completion, Failure, FormatFailure, Message, Request, Score, Usage
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.lifecycle.rollout import ModelRouter
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.scorer import Scorer
    from pytest_finetune.verdicts.loading import load_eval_sets

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Completion",
    "EvalSet",
    "Failure",
    "FinetuneError",
    "FormatFailure",
    "Message",
    "ModelRouter",
    "Request",
    "Run",
    "RunStore",
    "Score",
    "Scorer",
    "Target",
    "Usage",
    "load_eval_sets",
]

_HOMES = {
    "FinetuneError": "base.errors",
    "EvalSet": "verdicts.evalset",
    "Scorer": "verdicts.evalset.scorer",
    "load_eval_sets": "verdicts.loading",
    "ModelRouter": "lifecycle.rollout",
    "Run": "evaluation.runs",
    "RunStore": "evaluation.runs",
    "Target": "evaluation.targets",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every session, most of which name no model.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'base.records')}"), name)
