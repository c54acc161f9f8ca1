"""Eval sets as people name them at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import EvalSetError
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns

if TYPE_CHECKING:
    from pathlib import Path


def eval_set_files(named: Path, root: Path) -> list[Path]:
    """
    The eval sets that a path names: a file, or a folder that holds some by the project's pytest configuration.

    Raises:
        EvalSetError: There is none, or the configuration cannot be read.
    """
    patterns = configured_patterns(root)
    found = find_eval_sets([named], root=root, patterns=patterns)
    if not found:
        hint = f"name .jsonl files, or a folder where one matches {' or '.join(patterns)}"
        raise EvalSetError("no eval set there", str(named), hint)
    return found
