"""The run page of a session, where `--finetune-html` asks for one: all models in one file, with a switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.plugin.report_file import NOTHING, asked_for, attempt, replace, reported_runs

if TYPE_CHECKING:
    from pytest_finetune.plugin.session import FinetuneSession

OPTION = "--finetune-html"


def write(session: FinetuneSession) -> None:
    """Write the page of whatever has been judged, of an interrupted session too."""
    path = asked_for(session.config, OPTION)
    if path is None:
        return
    if not session.results:
        session.written.append(NOTHING.format(OPTION))
        return
    from pytest_finetune.reports.page.document import page_html

    html = page_html(reported_runs(session), redact=session.config.option.finetune_redact)
    attempt(session, f"run page: {path}", lambda: replace(path, html.encode()))
