"""An imported eval set appears with its settings, valid, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, EvalSetErrors
from pytest_finetune.base.files import copy_file
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.loading import ReadCases


@contextmanager
def private_folder(target: Path) -> Iterator[Path]:
    """A private folder next to the target, removed at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".pytest-finetune-", dir=target.parent))
    except OSError as error:
        raise _unwritable(error, target) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Path, read: ReadCases) -> EvalSet:
    """
    Put the files of a folder next to the target, the eval set last: pytest collects what it finds. Returns the set.

    Args:
        folder: With the eval set and the files that belong to it.
        target: The eval set to be.
        read: Its cases.

    Raises:
        DataError: They would not be a valid eval set, or cannot be written.
    """
    try:
        (eval_set,) = load_eval_sets([folder / target.name], root=folder, read={folder / target.name: read})
    except EvalSetErrors as error:
        raise DataError(f"the result would not be a valid eval set:\n{error}", str(target)) from error
    written = sorted(folder.iterdir(), key=lambda path: path.name == target.name)
    try:
        for path in written:
            copy_file(path, target.with_name(path.name))
    except OSError as error:
        raise _unwritable(error, target) from error
    return replace(eval_set, path=target)


def _unwritable(error: OSError, target: Path) -> DataError:
    return DataError(f"cannot be written: {error.strerror}", str(target), "check the folder's permissions")
