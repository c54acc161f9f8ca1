"""
The files of a session's reports: the run page, the Markdown summary, the summary of a GitHub Actions step.

A file that cannot be written is refused before the first request. A failure to write at the end fails the session, but
for the step's summary, which no option asks for.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_finetune.base.files import is_stream, write_file
from pytest_finetune.plugin.names import destination
from pytest_finetune.reports.markdown import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_finetune.reports.reported import ReportedRun

_HTML, _MARKDOWN = "--finetune-html", "--finetune-markdown"
_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


class WrittenReport(NamedTuple):
    """
    A report, written or not.

    Attributes:
        line: For the terminal's summary: its name, or a warning.
        failed_option: The option that asked for it, if it could not be written.
    """

    line: str
    failed_option: str = ""


def write(config: pytest.Config, runs: Sequence[ReportedRun]) -> Iterator[WrittenReport]:
    """Write the reports of the judged runs, one after the other."""
    page, text, step = _path(config, _HTML), _path(config, _MARKDOWN), os.environ.get(_STEP_SUMMARY)
    redact = config.option.pytest_finetune_redact
    if not runs:
        for option in (_MARKDOWN, _HTML):
            if _path(config, option):
                reason = "no eval set was evaluated (marked test functions do not count)"
                yield WrittenReport(f"warning: {option} wrote nothing: {reason}")
        return
    if text or step:
        data = markdown(runs, redact=redact).encode()
        if text:
            yield _attempt(_MARKDOWN, f"Markdown: {text}", lambda: _replace(text, data))
        if step:
            yield _attempt("", f"Markdown: {_STEP_SUMMARY}", lambda: _append(Path(step), data))
    if page:
        from pytest_finetune.reports.page.document import page_html

        html = page_html(runs, redact=redact).encode()
        yield _attempt(_HTML, f"run page: {page}", lambda: _replace(page, html))


def refuse_unwritable(config: pytest.Config) -> None:
    """
    Refuse files that cannot be written, before any request is paid for.

    Raises:
        pytest.UsageError: An option names a folder, or a file in one that is not writable.
    """
    paths = {option: _path(config, option) for option in (_MARKDOWN, _HTML)}
    if junit := getattr(config.option, "xmlpath", None):
        # pytest would end with a traceback once all requests have been sent.
        paths["--junitxml"] = config.invocation_params.dir / os.path.expandvars(Path(junit).expanduser())
    for option, path in paths.items():
        if path is None:
            continue
        nearest = next(folder for folder in path.parents if folder.exists())
        if path.is_dir():
            problem, hint = "is a folder", "name a file in it"
        elif not _is_writable(nearest) and not (path.exists() and is_stream(path)):
            problem, hint = f"cannot be written: {nearest} is not a writable folder", "choose another folder"
        else:
            continue
        raise pytest.UsageError(f"{option}: {path} {problem}\n  hint: {hint}")


def _path(config: pytest.Config, option: str) -> Path | None:
    """The file that an option names; None without the option."""
    path = getattr(config.option, destination(option.removeprefix("--finetune-")))
    return config.invocation_params.dir / Path(path).expanduser() if path else None


def _is_writable(folder: Path) -> bool:
    # By trying: the permissions do not tell it to root, nor of /proc.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


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


def _attempt(option: str, what: str, write: Callable[[], None]) -> WrittenReport:
    try:
        write()
    except OSError as error:
        return WrittenReport(f"warning: {what} could not be written: {error.strerror or error}", option)
    return WrittenReport(what)
