"""Writes a drafted eval set: checked as a whole first, and only then in place."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError, EvalSetErrors
from pytest_finetune.base.files import write_file
from pytest_finetune.lifecycle.data.writing import new_files
from pytest_finetune.lifecycle.starting.editor_schemas import FOLDER, editor_schemas
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.starting.eval_set_draft import EvalSetDraft


def write_draft(draft: EvalSetDraft, folder: Path, *, force: bool = False) -> list[Path]:
    """
    Write the files of a draft into a folder, which is created; returns their paths.

    Raises:
        DataError: The eval set could not be loaded, a file exists already, or the folder cannot be written to.
    """
    _check(draft)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be created: {error.strerror}", str(folder), "check the permissions") from error
    paths = [folder / name for name in draft.files]
    with new_files(paths, force=force) as files:
        for file, content in zip(files, draft.files.values(), strict=True):
            file.write(content)
        # Rewritten by each `init`, because they belong to the installed version.
        schemas = {folder / FOLDER / name: content for name, content in editor_schemas().items()}
        try:
            (folder / FOLDER).mkdir(exist_ok=True)
            for path, content in schemas.items():
                write_file(path, content)
        except OSError as error:
            hint = "check the permissions; init keeps schemas for editors there"
            raise DataError(f"cannot be written: {error.strerror}", str(folder / FOLDER), hint) from error
    return [*paths, *schemas]


def _check(draft: EvalSetDraft) -> None:
    with tempfile.TemporaryDirectory() as name:
        for file, content in draft.files.items():
            Path(name, file).write_bytes(content)
        try:
            load_eval_sets([Path(name, list(draft.files)[-1])], root=Path(name))
        except EvalSetErrors as errors:
            hint = "fix these rows of the file, or leave them out"
            raise DataError(f"the result would not be a valid eval set:\n{errors}", "", hint) from errors
