"""Which files are eval sets: those named outright, and those that a pattern finds below a named folder."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PRUNED = ("node_modules", "build", "dist", "venv", "__pycache__")


def find_eval_sets(named: Iterable[Path], *, root: Path, patterns: Sequence[str]) -> list[Path]:
    """
    The eval sets among `named` files and below `named` folders, in order, each once.

    A `.jsonl` file that is named is an eval set whatever its place; below a folder only what matches a pattern is,
    so that training data lying about is not taken for one. Patterns are fnmatch's, on the path relative to `root`.
    """
    found: dict[Path, None] = {}
    for path in named:
        if path.is_dir():
            found.update((file, None) for file in _walk(path) if _matches(file, root, patterns))
        elif path.suffix == ".jsonl":
            found[path] = None
    return list(found)


def _matches(path: Path, root: Path, patterns: Sequence[str]) -> bool:
    relative = Path(os.path.relpath(path, root)).as_posix()
    return any(fnmatch(relative, pattern) for pattern in patterns)


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        # pytest follows links too; one that leads back up must not be followed for ever.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _PRUNED)
        if os.path.realpath(parent) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(parent))
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".jsonl"))
