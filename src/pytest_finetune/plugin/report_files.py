"""
The files of a session's reports: the run page, the Markdown summary, the summary of a GitHub Actions step.

A file that cannot be written is refused before the first request; a failure to write at the end is only a warning.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.files import is_stream, write_file
from pytest_finetune.plugin.names import destination
from pytest_finetune.reports.markdown import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_finetune.reports.reported import ReportedRun

_HTML, _MARKDOWN = "--finetune-html", "--finetune-markdown"
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def write(config: pytest.Config, runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Write the reports of the judged runs; yields a line for the terminal's summary for each file."""
    page, text, step = _path(config, _HTML), _path(config, _MARKDOWN), os.environ.get(_STEP_SUMMARY)
    redact = config.option.pytest_finetune_redact
    if not runs:
        for option in (_MARKDOWN, _HTML):
            if _path(config, option):
                reason = "no eval set was evaluated (marked test functions do not count)"
                yield f"warning: {option} wrote nothing: {reason}"
        return
    if text or step:
        data = markdown(runs, redact=redact).encode()
        if text:
            yield _attempt(f"Markdown: {text}", lambda: _replace(text, data))
        if step:
            yield _attempt(f"Markdown: {_STEP_SUMMARY}", lambda: _append(Path(step), data))
    if page:
        from pytest_finetune.reports.page.document import page_html

        html = page_html(runs, redact=redact).encode()
        yield _attempt(f"run page: {page}", lambda: _replace(page, html))


def refuse_unwritable(config: pytest.Config) -> None:
    """
    Refuse files that cannot be written, before any request is paid for.

    Raises:
        pytest.UsageError: An option names a folder, or a file in one that is not writable.
    """
    for option in (_MARKDOWN, _HTML):
        path = _path(config, option)
        if path is None:
            continue
        nearest = next(folder for folder in path.parents if folder.exists())
        if path.is_dir():
            problem, hint = "is a folder", "name a file in it"
        elif not nearest.is_dir() or not os.access(nearest, os.W_OK):
            problem, hint = f"cannot be written: {nearest} is not a writable folder", "choose another folder"
        else:
            continue
        raise pytest.UsageError(f"{option}: {path} {problem}\n  hint: {hint}")


def _path(config: pytest.Config, option: str) -> Path | None:
    """The file that an option names; None without the option."""
    path = getattr(config.option, destination(option.removeprefix("--finetune-")))
    return config.invocation_params.dir / Path(path).expanduser() if path else None


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_stream(path):
        # On a terminal, pytest's progress line has not ended yet.
        _append(path, data)
    else:
        write_file(path, data)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"\n" + data)


def _attempt(what: str, write: Callable[[], None]) -> str:
    """Write a report, and return the line about it for the summary: its name, or a warning."""
    try:
        write()
    except OSError as error:
        return f"warning: {what} could not be written: {error.strerror or error}"
    return what
