"""The eval sets that a promotion is judged by: those of the project that the registry is part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.file_backend import FileBackend
from pytest_finetune.verdicts.evalset.discovery import eval_set_name, find_eval_sets
from pytest_finetune.verdicts.evalset.project import configured_patterns, is_configured, project_root
from pytest_finetune.verdicts.loading import load_project_sets

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_finetune.lifecycle.registry.backend import Backend
    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass(frozen=True, slots=True)
class JudgedSets:
    """
    Eval sets to judge a version by, as they are today.

    Attributes:
        eval_sets: Loaded by the project's configuration; options of a session, such as `--repeats`, play no part.
        left_out: Names of the project's eval sets that are not among them.
        chosen: The paths that somebody chose instead of the whole project.
    """

    eval_sets: tuple[EvalSet, ...]
    left_out: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()


def judged_sets(backend: Backend, *, start: Path, only: Sequence[Path] = (), also: Iterable[Path] = ()) -> JudgedSets:
    """
    The eval sets of the registry's project.

    How a session was configured (`-o`, `-c`), started (a sub-folder, `--rootdir`) or limited must not decide what its
    model is judged by. So the project is found from the place of the registry.

    Args:
        backend: The registry.
        start: Where the command or session runs. Its project counts if the registry is in no folder of a project, such
            as on an MLflow server.
        only: Files and folders to judge by instead; what they leave out is in `left_out`.
        also: Further files that a run covered.

    Raises:
        EvalSetErrors: An eval set cannot be used as written.
        EvalSetError: A pytest configuration cannot be read.
    """
    root = _root(backend, start)
    patterns = configured_patterns(root)
    project = find_eval_sets([root], root=root, patterns=patterns)
    chosen = [path.resolve() for path in only]
    judged = find_eval_sets(chosen, root=root, patterns=patterns) if only else project
    known = {path.resolve() for path in judged}
    judged = [*judged, *(path for path in also if path.resolve() not in known)]
    left_out = (eval_set_name(path, root) for path in project if path.resolve() not in known)
    return JudgedSets(tuple(load_project_sets(judged, root=root)), tuple(left_out), tuple(map(str, only)))


def _root(backend: Backend, start: Path) -> Path:
    """The root of the registry's project, else of the project at `start`."""
    start = start.resolve()
    if isinstance(backend, FileBackend):
        # A link does not move the registry to another project.
        root = project_root(backend.path.resolve().parent)
        if root is not None:
            # A folder is a root for certain only if it is configured; else, the larger of two projects counts.
            return start if start in root.parents and not is_configured(root) else root
    return project_root(start) or start
