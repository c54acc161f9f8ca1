"""pytest-finetune: eval sets as pytest cases, so that a fine-tuned model ships on evidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finetune.errors import FinetuneError
    from pytest_finetune.evalset import EvalSet, load_eval_sets
    from pytest_finetune.records import Case, Completion, Failure, FormatFailure, Message, Request, Score, Usage
    from pytest_finetune.rollout import ModelRouter
    from pytest_finetune.runs import Run, RunStore
    from pytest_finetune.targets import Target

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
    "Target",
    "Usage",
    "load_eval_sets",
]

_HOMES = {
    "FinetuneError": "errors",
    "EvalSet": "evalset",
    "load_eval_sets": "evalset",
    "ModelRouter": "rollout",
    "Run": "runs",
    "RunStore": "runs",
    "Target": "targets",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package in every session, most of which name no model.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'records')}"), name)
