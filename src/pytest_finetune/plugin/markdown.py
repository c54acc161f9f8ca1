"""Markdown where it was asked for: `--finetune-markdown`, and the summary of a GitHub Actions step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.plugin.report_file import NOTHING, append, asked_for, attempt, replace, reported_runs
from pytest_finetune.reports.markdown import markdown

if TYPE_CHECKING:
    from pytest_finetune.plugin.session import FinetuneSession

OPTION = "--finetune-markdown"
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def write(session: FinetuneSession) -> None:
    """Write what was asked for, once the session is judged; what cannot be written is told, and fails nothing."""
    path, summary = asked_for(session.config, OPTION), os.environ.get(STEP_SUMMARY)
    if not session.results:
        session.written += [NOTHING.format(OPTION)] if path else []
        return
    if not (path or summary):
        return
    data = markdown(reported_runs(session), redact=session.config.option.finetune_redact).encode()
    if path:
        attempt(session, f"Markdown: {path}", lambda: replace(path, data))
    if summary:
        attempt(session, f"Markdown: {STEP_SUMMARY}", lambda: append(Path(summary), data))
