"""The names a `scorer` setting may have, found without importing any scorer."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

ENTRY_POINTS = "pytest_finetune.scorers"
"""Entry-point group in which an installed package names its scorer classes."""

_FOLDER = Path(__file__).parents[1] / "scoring" / "scorers"


@cache
def built_in_scorers() -> tuple[str, ...]:
    """The scorers of this package: one module per scorer, named like it."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(_FOLDER)])))


def installed_scorers() -> dict[str, EntryPoint]:
    """
    Scorers of other installed packages by name; a built-in scorer's name cannot be taken.

    Reads the metadata of every installed package, so ask only about a name that is not built in.
    """
    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in built_in_scorers()}


def is_function(name: str) -> bool:
    """Whether a scorer name is a `package.module:function`."""
    return ":" in name


def is_known_scorer(name: str) -> bool:
    """Whether a name is a function, a built-in scorer or one of an installed package."""
    return is_function(name) or name in built_in_scorers() or name in installed_scorers()
