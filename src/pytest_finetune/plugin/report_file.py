"""Files that a session writes at its end: refused before anything is asked, written whole, and never a failure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.files import is_stream, write_file
from pytest_finetune.reports.sources import from_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.plugin.session import FinetuneSession
    from pytest_finetune.reports.reported import ReportedRun


NOTHING = "warning: {} wrote nothing: no eval set was evaluated, and tests over cases have no part in it"
"""What a session tells that has no results, such as one of marked functions alone."""


def asked_for(config: pytest.Config, option: str) -> Path | None:
    """The file that an option such as `--finetune-html` names, if it is there."""
    told = getattr(config.option, option.removeprefix("--").replace("-", "_"))
    return config.invocation_params.dir / Path(told).expanduser() if told else None


def refuse_unwritable(config: pytest.Config, option: str) -> None:
    """
    Tell now, and not after everything has been asked and paid for, that a file cannot be written.

    Raises:
        pytest.UsageError: The option names a folder, or lies in one where nothing can be made.
    """
    path = asked_for(config, option)
    if path is None:
        return
    nearest = next(folder for folder in path.parents if folder.exists())
    if path.is_dir():
        problem, hint = "is a folder", "name a file in it"
    elif not nearest.is_dir() or not os.access(nearest, os.W_OK):
        problem, hint = f"cannot be written: no file can be made in {nearest}", "name a file somewhere else"
    else:
        return
    raise pytest.UsageError(f"{option}: {path} {problem}\n  hint: {hint}")


def reported_runs(session: FinetuneSession) -> list[ReportedRun]:
    """The results of every model, as reports take them."""
    judged = {model.spec: model.judged for model in session.models}
    return [
        from_session(
            one,
            [result for result in session.results if result.model == one.target.spec],
            judged=judged[one.target.spec],
        )
        for one in session.evaluations
    ]


def replace(path: Path, data: bytes) -> None:
    """
    Write a whole file, in a folder that is made where there is none.

    Raises:
        OSError: It could not be done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_stream(path):
        # On a terminal pytest's progress line has no end yet.
        append(path, data)
    else:
        write_file(path, data)


def append(path: Path, data: bytes) -> None:
    """
    Add to a file.

    Raises:
        OSError: It could not be done.
    """
    with path.open("ab") as file:
        file.write(b"\n" + data)


def attempt(session: FinetuneSession, what: str, work: Callable[[], None]) -> None:
    """Do it, and tell that it was done; what cannot be written is told, and fails nothing."""
    try:
        work()
    except OSError as error:
        session.written.append(f"warning: {what} could not be written: {error.strerror or error}")
    else:
        session.written.append(what)
