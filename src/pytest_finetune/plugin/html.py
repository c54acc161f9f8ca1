"""pytest-html's report of a session with a model: title, summary, columns and rows. On the controller only."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Protocol

import pytest

from pytest_finetune.base.text import printable
from pytest_finetune.reports import html_row, html_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.plugin.session import ReportedCases, SessionOutcome
    from pytest_finetune.verdicts.evalset import EvalSet

FIRST = 2
"""Our columns come after Result and Test."""


class _Titled(Protocol):
    title: str


class HtmlReport:
    """
    The hooks of pytest-html.

    They run before those of a `conftest.py`, which may change their results.

    Args:
        models: Their names, for the title.
        cases: Finds the case that a report is about.
        outcome: Has the runs, for the summary.
        redact: Omit prompts and answers.
    """

    def __init__(self, models: list[str], cases: ReportedCases, outcome: SessionOutcome, *, redact: bool) -> None:
        self.models, self.cases, self.outcome, self.redact = models, cases, outcome, redact

    @pytest.hookimpl(tryfirst=True)
    def pytest_html_report_title(self, report: _Titled) -> None:
        """Name the models."""
        report.title = printable(html_summary.title(self.models))

    @pytest.hookimpl(tryfirst=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Add gates and figures above the table; the session has been judged by now."""
        if self.outcome.runs:
            prefix.append(html_summary.summary_html(self.outcome.runs, redact=self.redact))

    @pytest.hookimpl(tryfirst=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add our columns."""
        cells[FIRST:FIRST] = html_row.header_cells()

    @pytest.hookimpl(tryfirst=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Escape the test's id, which pytest-html does not do, and fill our columns."""
        name = cells[1].removeprefix('<td class="col-testId">').removesuffix("</td>")
        if name.startswith(report.nodeid):
            cells[1] = f'<td class="col-testId">{escape(printable(name))}</td>'
        cells[FIRST:FIRST] = self._cells(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[str]) -> None:
        """Show prompt, expected and got with the differences marked, instead of the failure text."""
        details = self._details(report)
        if details is None:
            return
        # pytest-html puts the failure text first (with xdist at least a worker's name), or a note on missing output.
        if report.longreprtext:
            ours = hasattr(report, "finetune_reason") or hasattr(report, "finetune_verdict")
            dropped = ours or report.longrepr is None
        else:
            dropped = not report.sections
        del data[:dropped]
        data.insert(0, details)

    def _cells(self, report: pytest.TestReport) -> list[str]:
        if hasattr(report, "finetune_verdict"):
            return html_row.gate_cells(self.cases.title(report.finetune_model), report.finetune_verdict)
        found = self._samples(report)
        if found is None:
            return html_row.empty_cells()
        return html_row.case_cells(self.cases.title(report.finetune_key[0]), report.finetune_state, found[2])

    def _details(self, report: pytest.TestReport) -> str | None:
        if hasattr(report, "finetune_verdict"):
            return html_row.gate_html(report.finetune_verdict)
        found = self._samples(report)
        return None if found is None else html_row.case_html(*found, redact=self.redact)

    def _samples(self, report: pytest.TestReport) -> tuple[EvalSet, Case, list[Sample]] | None:
        """Eval set, case and samples of a report; None for setup and teardown, which pytest-html shows too."""
        key: Sequence[str] | None = getattr(report, "finetune_key", None)
        return None if key is None else self.cases.find(*key)
