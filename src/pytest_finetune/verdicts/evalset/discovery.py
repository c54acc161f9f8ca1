"""Which files are eval sets: those named outright, and those that a pattern finds below a named folder; their names."""

from __future__ import annotations

import os
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PRUNED = ("node_modules", "build", "dist", "venv", "__pycache__")
_SETTINGS = ("scorer", "normalize", "labels", "schema", "dialect", "max_errors", "request", "stability", "gates")


def find_eval_sets(named: Iterable[Path], *, root: Path, patterns: Sequence[str]) -> list[Path]:
    """
    The eval sets among `named` files and below `named` folders, in order, each once.

    A `.jsonl` file that is named is an eval set wherever it is; below a folder only what matches a pattern is, so that
    training data is not taken for one. Patterns are fnmatch's, on the path relative to `root`. The suffix may be in
    capitals. Settings without their eval set count as that eval set, so that loading reports the missing file. The
    labelled answers NAME.calibration.jsonl and NAME.SCORER.calibration.jsonl next to NAME.jsonl are not an eval set.
    """
    found: dict[Path, None] = {}
    for path in named:
        if path.is_dir():
            found.update(
                (file, None) for file in _walk(path) if _matches(file, root, patterns) and not _is_labelled(file)
            )
        elif path.suffix.lower() == ".jsonl" and not _is_labelled(path):
            found[path] = None
    return list(found)


def eval_set_name(path: Path, root: Path) -> str:
    """The posix path of a file relative to the root, starting with `..` if it is outside."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:
        # Another drive on Windows.
        return path.as_posix()


def _is_labelled(path: Path) -> bool:
    name, labelled, _ = path.name.partition(".calibration.jsonl")
    # NAME.SCORER.calibration.jsonl if the judge is one of several scorers.
    return bool(labelled) and any(path.with_name(f"{one}.jsonl").exists() for one in (name, name.rpartition(".")[0]))


def _matches(path: Path, root: Path, patterns: Sequence[str]) -> bool:
    relative = Path(os.path.relpath(path, root)).with_suffix(".jsonl").as_posix()
    return any(fnmatch(relative, pattern) for pattern in patterns)


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        # pytest follows links too; one that leads back up must not be followed forever.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _PRUNED)
        if os.path.realpath(parent) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(parent))
        found = [name for name in files if name.lower().endswith(".jsonl")]
        stems = {Path(name).stem for name in found}
        alone = [name for name in files if name.endswith(".toml") and name.removesuffix(".toml") not in stems]
        found += [Path(name).with_suffix(".jsonl").name for name in alone if _is_settings(Path(parent, name))]
        yield from (Path(parent, name) for name in sorted(found))


def _is_settings(path: Path) -> bool:
    """The file may be an eval set's settings, which pyproject.toml is not."""
    try:
        keys = tomllib.loads(path.read_text("utf-8")).keys()
    except (OSError, ValueError):
        return True
    return not keys.isdisjoint(_SETTINGS)
