"""Removes runs that are no longer needed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from pytest_finetune.evaluation.runs.store import RunStore


@dataclass(frozen=True, slots=True)
class Pruning:
    """
    Which runs are removed.

    Args:
        removed: The runs to remove, newest first.
        kept: Ids of older runs that are kept all the same, each with the reason.
    """

    removed: tuple[Run, ...]
    kept: dict[str, str]


def remove_run(run: Run) -> None:
    """
    Remove a run with its answers.

    Raises:
        RunError: Another session is writing it, or the folder cannot be changed.
    """
    run.lock()
    try:
        # Without its manifest a folder is not a run: what is left of an interrupted removal is never read.
        (run.path / "manifest.json").unlink()
        run.release()
        shutil.rmtree(run.path)
    except OSError as error:
        raise RunError(
            f"cannot be removed: {error.strerror or error}", str(run.path), "check the permissions"
        ) from error
    finally:
        run.release()


def runs_to_prune(
    store: RunStore, *, keep: int = 0, before: datetime | None = None, needed: Collection[str] = ()
) -> Pruning:
    """
    The runs beyond the newest ones, and older than a time.

    Open runs are kept, since `--resume` may finish them, and so are unreadable ones.

    Args:
        store: The runs.
        keep: Number of newest runs that are kept.
        before: Runs that were created later are kept; None keeps none for its age.
        needed: Ids of runs that are kept: the evidence of a registry.
    """
    removed, kept = [], {}
    for path in store.newest_first()[keep:]:
        try:
            run = Run.load(path)
        except RunError:
            kept[path.name] = "cannot be read"
            continue
        if before is not None and run.manifest.created_at >= before:
            continue
        if run.id in needed:
            kept[run.id] = "evidence of a version"
        elif not run.manifest.closed:
            kept[run.id] = "open"
        else:
            removed.append(run)
    return Pruning(tuple(removed), kept)
