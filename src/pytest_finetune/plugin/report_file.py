"""Report files: refused before the first request if they cannot be written; a failure to write is only a warning."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.files import is_stream, write_file

if TYPE_CHECKING:
    from collections.abc import Callable


NOTHING = "warning: {} wrote nothing: no eval set was evaluated; marked test functions are not part of it"
"""Shown if a session has no results, such as one of marked functions alone."""


def report_path(config: pytest.Config, option: str) -> Path | None:
    """The file that an option such as `--finetune-html` names; None without the option."""
    path = getattr(config.option, option.removeprefix("--").replace("-", "_"))
    return config.invocation_params.dir / Path(path).expanduser() if path else None


def refuse_unwritable(config: pytest.Config, option: str) -> None:
    """
    Refuse a file that cannot be written, before any request is paid for.

    Raises:
        pytest.UsageError: The option names a folder, or a file in one that is not writable.
    """
    path = report_path(config, option)
    if path is None:
        return
    nearest = next(folder for folder in path.parents if folder.exists())
    if path.is_dir():
        problem, hint = "is a folder", "name a file in it"
    elif not nearest.is_dir() or not os.access(nearest, os.W_OK):
        problem, hint = f"cannot be written: {nearest} is not a writable folder", "name a file somewhere else"
    else:
        return
    raise pytest.UsageError(f"{option}: {path} {problem}\n  hint: {hint}")


def replace(path: Path, data: bytes) -> None:
    """
    Write a whole file, and create its folder.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_stream(path):
        # On a terminal pytest's progress line has no end yet.
        append(path, data)
    else:
        write_file(path, data)


def append(path: Path, data: bytes) -> None:
    """
    Append to a file.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("ab") as file:
        file.write(b"\n" + data)


def attempt(what: str, write: Callable[[], None]) -> str:
    """Write a report, and return the line about it for the summary: its name, or a warning."""
    try:
        write()
    except OSError as error:
        return f"warning: {what} could not be written: {error.strerror or error}"
    return what
