"""Where a project begins and what its pytest configuration sets for us, read without pytest."""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import EvalSetError
from pytest_finetune.base.eval_set_patterns import EVAL_SET_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_finetune.verdicts.evalset.request_form import Api

OPTION = "finetune_eval_sets"

_ALWAYS = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
"""These configure pytest even when empty; the other files only if they have pytest's section."""

_FILES = (*_ALWAYS, "pyproject.toml", "tox.ini", "setup.cfg")
"""In the order in which pytest looks for them."""

_PACKAGING = ("pyproject.toml", "setup.py")
"""Without a configuration, pytest takes the folder of one of these as the root."""


def configured_patterns(folder: Path) -> Sequence[str]:
    """
    The patterns of `finetune_eval_sets` in a folder's pytest configuration; the default patterns if it sets none.

    Command-line options of a session (`-c`, `-o`) are not part of the project and have no influence.

    Raises:
        EvalSetError: The configuration cannot be read.
    """
    found = _configuration(folder)
    return EVAL_SET_PATTERNS if found is None else _patterns(*found)


def configured_lines(folder: Path, option: str) -> list[str]:
    """
    The lines of a setting of pytest's type `linelist`, in the project that a folder is part of; empty if it is not set.

    Raises:
        EvalSetError: The configuration cannot be read, or the setting is not a list of lines.
    """
    root = project_root(folder)
    found = _configuration(root) if root else None
    if found is None or option not in found[0]:
        return []
    value = found[0][option]
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise EvalSetError(f"{option} is not a list of texts", str(found[1]), 'such as ["…", "…"]')
    return [line for line in map(str.strip, lines) if line]


def read_api(written: str) -> Api | None:
    """
    The API that the setting `finetune_api` names; None leaves it to the eval sets and the models.

    Raises:
        EvalSetError: It names none.
    """
    match written.strip():
        case "":
            return None
        case "chat" | "responses" as api:
            return api
        case other:
            raise EvalSetError(f"finetune_api = {other}: unknown API", hint="write chat or responses")


def configured_api(folder: Path) -> Api | None:
    """
    The API that the configuration of a folder's project demands for all requests; None if it demands none.

    Raises:
        EvalSetError: The configuration cannot be read, or names an unknown API.
    """
    return read_api("".join(configured_lines(folder, "finetune_api")))


def is_configured(folder: Path) -> bool:
    """
    The folder has a pytest configuration, which makes it the root of a project.

    Raises:
        EvalSetError: The configuration cannot be read.
    """
    return _configuration(folder) is not None


def project_root(folder: Path) -> Path | None:
    """
    The root of the project that a folder is part of, as pytest determines it: from the folder upwards.

    The nearest folder with a pytest configuration, else with `pyproject.toml` or `setup.py`, else with a folder
    `eval_sets`. None if there is none of these.

    Raises:
        EvalSetError: A configuration cannot be read.
    """
    upwards = (folder, *folder.parents)
    for is_root in (is_configured, _is_package, _has_eval_sets):
        if root := next((each for each in upwards if is_root(each)), None):
            return root
    return None


def _configuration(folder: Path) -> tuple[dict[str, Any], Path] | None:
    for name in _FILES:
        path = folder / name
        if path.is_file() and (section := _section(path)) is not None:
            return section, path
    return None


def _is_package(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PACKAGING)


def _has_eval_sets(folder: Path) -> bool:
    return (folder / "eval_sets").is_dir()


def _patterns(section: dict[str, Any], path: Path) -> Sequence[str]:
    if OPTION not in section:
        return EVAL_SET_PATTERNS
    value = section[OPTION]
    try:
        found = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise EvalSetError(f"{OPTION}: {error}", str(path), "close the quotation mark") from error
    if not isinstance(found, list) or not all(isinstance(pattern, str) for pattern in found):
        raise EvalSetError(f"{OPTION} is not a list of patterns", str(path), f'such as ["{EVAL_SET_PATTERNS[0]}"]')
    return found


def _section(path: Path) -> dict[str, Any] | None:
    """Pytest's section of a file, empty if a file of pytest's own has none; None if it does not configure pytest."""
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
