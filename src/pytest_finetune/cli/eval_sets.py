"""Eval sets as people name them at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_finetune.base.errors import DataError, EvalSetError
from pytest_finetune.base.text import printable
from pytest_finetune.verdicts.evalset.discovery import find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet


def eval_set_files(named: Path, root: Path) -> list[Path]:
    """
    The eval sets that a path names: a file, or those in a folder.

    In a folder, the files that the project's pytest configuration takes for eval sets; if it has none, because it has
    another name, all JSONL files.

    Raises:
        EvalSetError: There is none, or the configuration cannot be read.
    """
    patterns = configured_patterns(root)
    found = find_eval_sets([named], root=root, patterns=patterns) or find_eval_sets([named], root=root, patterns=("*",))
    if not found:
        hint = "name .jsonl files, or a folder that has some"
        raise EvalSetError("no eval set there", str(named), hint)
    return found


def warn_of_copies(eval_sets: Iterable[EvalSet]) -> None:
    """Warn on stderr of near copies that carry no group, if what finds them is installed."""
    from pytest_finetune.lifecycle.data.ungrouped import copies_warning

    for eval_set in eval_sets:
        try:
            warning = copies_warning(eval_set)
        except DataError:
            # Without the extra [data]; `data check` names what is missing.
            return
        if warning:
            click.echo(f"warning: {printable(warning)}", err=True)
