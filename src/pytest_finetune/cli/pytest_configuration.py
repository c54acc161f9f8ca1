"""Which files a project calls eval sets, as its pytest configuration says: commands judge by what pytest asks."""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import EvalSetError
from pytest_finetune.base.eval_set_patterns import EVAL_SET_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OPTION = "finetune_eval_sets"

_ALWAYS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
"""These are the configuration wherever they are there, be they empty; others where they have pytest's section."""

_FILES = (*_ALWAYS, "pyproject.toml", "tox.ini", "setup.cfg")
"""In the order in which pytest looks for them."""


def configured_patterns(folder: Path) -> Sequence[str]:
    """
    The patterns of `finetune_eval_sets` that pytest finds in a folder; the plugin's own where it finds none.

    What a session is told on its command line (`-c`, `-o`) is not the project's, and plays no part.

    Raises:
        EvalSetError: The configuration cannot be read.
    """
    for name in _FILES:
        path = folder / name
        if path.is_file() and (section := _section(path)) is not None:
            return _patterns(section, path)
    return EVAL_SET_PATTERNS


def _patterns(section: dict[str, Any], path: Path) -> Sequence[str]:
    if OPTION not in section:
        return EVAL_SET_PATTERNS
    value = section[OPTION]
    try:
        found = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise EvalSetError(f"{OPTION}: {error}", str(path), "close the quotation mark") from error
    if not isinstance(found, list) or not all(isinstance(pattern, str) for pattern in found):
        raise EvalSetError(f"{OPTION} is no list of patterns", str(path), f'such as ["{EVAL_SET_PATTERNS[0]}"]')
    return found


def _section(path: Path) -> dict[str, Any] | None:
    """Pytest's own section of a file, empty where the file belongs to pytest anyway; None where there is none."""
    found = _toml(path) if path.suffix == ".toml" else _ini(path)
    return {} if found is None and path.name in _ALWAYS else found


def _toml(path: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EvalSetError(f"cannot be read: {error}", str(path), "pytest cannot read it either") from error
    if path.name != "pyproject.toml":
        return _table(document, "pytest")
    own = _table(_table(document, "tool") or {}, "pytest")
    if own is None or not own:
        return None
    return _table(own, "ini_options") if set(own) == {"ini_options"} else own


def _table(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    found = document.get(name)
    return found if isinstance(found, dict) else None


def _ini(path: Path) -> dict[str, Any] | None:
    from iniconfig import IniConfig, ParseError

    try:
        config = IniConfig(str(path))
    except (OSError, UnicodeDecodeError, ParseError) as error:
        raise EvalSetError(f"cannot be read: {error}", str(path), "pytest cannot read it either") from error
    section = "tool:pytest" if path.suffix == ".cfg" else "pytest"
    return dict(config[section].items()) if section in config else None
