"""Eval sets: JSONL and the TOML beside it, read strictly into cases, settings and requests."""

from pytest_finetune.evalset.eval_set import EvalSet
from pytest_finetune.evalset.loading import load_eval_sets

__all__ = ["EvalSet", "load_eval_sets"]
