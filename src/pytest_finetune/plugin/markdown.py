"""Markdown of a session: `--finetune-markdown`, and the summary of a GitHub Actions step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.plugin.report_file import NOTHING, append, attempt, replace, report_path
from pytest_finetune.reports.markdown import markdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from pytest_finetune.reports.reported import ReportedRun

OPTION = "--finetune-markdown"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def write(config: pytest.Config, runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Write the judged runs, none if nothing was evaluated; yields a line for the summary for each file."""
    path, summary = report_path(config, OPTION), os.environ.get(STEP_SUMMARY)
    if not runs:
        yield from [NOTHING.format(OPTION)] if path else []
    elif path or summary:
        data = markdown(runs, redact=config.option.finetune_redact).encode()
        if path:
            yield attempt(f"Markdown: {path}", lambda: replace(path, data))
        if summary:
            yield attempt(f"Markdown: {STEP_SUMMARY}", lambda: append(Path(summary), data))
