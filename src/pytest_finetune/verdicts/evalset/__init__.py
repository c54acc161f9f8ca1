"""Eval sets: JSONL files and their TOML settings, read strictly into cases, settings and requests."""

from pytest_finetune.verdicts.evalset.eval_set import EvalSet

__all__ = ["EvalSet"]
