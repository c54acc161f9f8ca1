"""
Imports sqlglot's parser from its Python source, also where `sqlglotc` has compiled it.

Compiled, it cannot be given a limit of steps, and a deeply nested answer overflows the stack and ends the process.
"""

from __future__ import annotations

import sys
from importlib.machinery import SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

_RECURSIVE = ("sqlglot.parser", "sqlglot.parsers", "sqlglot.generator", "sqlglot.generators")
"""What works by recursion over the text or its tree; dialects have modules of their own below the plural ones."""


class _SourceFinder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        if not name.startswith(tuple(f"{each}." for each in _RECURSIVE)) and name not in _RECURSIVE:
            return None
        finders = (FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)) for folder in path or ())
        return next((spec for finder in finders if (spec := finder.find_spec(name))), None)


def import_from_source() -> None:
    """
    Make all later imports of sqlglot's parsers and generators read the source; sqlglot must be installed.

    Raises:
        ScorerError: The compiled parser has been imported already.
    """
    loaded = sys.modules.get("sqlglot.parser")
    if loaded is None and _SourceFinder not in sys.meta_path:
        sys.meta_path.insert(0, _SourceFinder)
    if loaded is not None and isinstance(loaded.__loader__, ExtensionFileLoader):
        problem = "scorer 'sql': the compiled parser of sqlglotc is in use, which no limit can stop on a hostile answer"
        hint = "pip uninstall sqlglotc, or import sqlglot after pytest-finetune"
        raise ScorerError(problem, hint=hint)
