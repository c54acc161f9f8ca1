"""The run page of a session, `--finetune-html`: all models in one file, with a switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.plugin.report_file import NOTHING, attempt, replace, report_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from pytest_finetune.reports.reported import ReportedRun

OPTION = "--finetune-html"


def write(config: pytest.Config, runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Write the judged runs, none if nothing was evaluated; yields a line for the summary."""
    path = report_path(config, OPTION)
    if path is None:
        return
    if not runs:
        yield NOTHING.format(OPTION)
        return
    from pytest_finetune.reports.page.document import page_html

    html = page_html(runs, redact=config.option.finetune_redact)
    yield attempt(f"run page: {path}", lambda: replace(path, html.encode()))
