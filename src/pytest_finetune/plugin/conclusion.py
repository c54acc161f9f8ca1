"""After the last item: judge the samples, report the verdicts as tests, and write the summary."""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING

from pytest_finetune.plugin import markdown, page
from pytest_finetune.plugin.gates import report_gates
from pytest_finetune.plugin.report_file import reported_runs
from pytest_finetune.reports import terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from pytest_finetune.plugin.promotion import Promotion
    from pytest_finetune.plugin.session import FinetuneSession
    from pytest_finetune.reports.text import Line


LEAST = -2
"""pytest's verbosity under `-qq`: the outcome and nothing else."""

MISSES, FLIPS = 3, 5
"""Most missed cases and flips that are shown without `-v`."""

_LISTED_BY = {"missed": "x", "error": "E"}
"""The letter of pytest's `-r` that lists cases in this state; pytest itself treats both as expected failures."""


def collect(session: FinetuneSession, report: pytest.TestReport) -> None:
    """Take the samples of a report, on the controller only."""
    carried = getattr(report, "finetune", None)
    if carried is None or session.is_worker:
        return
    session.collect(carried)
    # The terminal keeps every report to the end of the session; the samples need to be kept only once.
    del report.finetune


def remember(session: FinetuneSession, report: pytest.TestReport) -> None:
    """Remember a missed case for the summary and for `--lf`."""
    if not session.is_worker and hasattr(report, "finetune_told") and hasattr(report, "wasxfail"):
        session.misses.append((report.nodeid, str(report.longrepr)))
        session.listed.append((report.finetune_state, report.nodeid, str(report.wasxfail)))
        _remember_as_failed(session, report)


def conclude(
    session: FinetuneSession, pytest_session: pytest.Session, promotion: Promotion | None, *, cut_short: bool = False
) -> None:
    """
    Judge the samples, and report gates and promotion as tests, before pytest counts its failed tests.

    Args:
        session: The session with its models.
        pytest_session: Counts the failed tests, gates included, before the promotion is assessed.
        promotion: With `--promote`.
        cut_short: The session ended before all its tests had run, by `-x` or `pytest.exit` for instance.
    """
    if session.is_worker:
        return
    session.stop_asking()
    session.judge()
    report_gates(session.config, session)
    if promotion is not None:
        promotion.assess(pytest_session, cut_short=cut_short)
    markdown.write(session)
    page.write(session)
    _forget_gates(session)


def interrupt(session: FinetuneSession) -> None:
    """Ctrl-C: no more requests are sent, and the records stay open."""
    if not session.is_worker:
        session.stop_asking()
        session.judge()
        markdown.write(session)
        page.write(session)


def write_summary(session: FinetuneSession, reporter: pytest.TerminalReporter) -> None:
    """Write the summary, in the reporter's own width and colours."""
    option = session.config.option
    if not session.results:
        _write(reporter, ((line, {}) for line in session.written))
        return
    if option.verbose < LEAST or option.no_summary:
        return
    detail = terminal.Detail(min(option.verbose - LEAST, terminal.Detail.EVERYTHING))
    layout = terminal.Layout(_width(), detail, option.finetune_redact)
    _write_cases(session, reporter, layout)
    if detail > terminal.Detail.OUTCOME:
        reporter.write_sep("=", "finetune", bold=True)
    runs = reported_runs(session)
    _write(reporter, terminal.summary_lines(runs, layout))
    lines = [line for line in session.written if detail > terminal.Detail.OUTCOME or line.startswith("warning: ")]
    _write(reporter, ((line, {}) for line in lines))
    if detail >= terminal.Detail.TABLES:
        show = None if detail is terminal.Detail.EVERYTHING else FLIPS
        _write(reporter, terminal.baseline_lines(runs, show=show, layout=layout))


def _write_cases(session: FinetuneSession, reporter: pytest.TerminalReporter, layout: terminal.Layout) -> None:
    """Show missed cases as pytest shows failed ones: texts depending on `--tb`, one line each depending on `-r`."""
    listed = [(state, nodeid, reason) for state, nodeid, reason in session.listed if reporter.hasopt(_LISTED_BY[state])]
    if listed:
        reporter.write_sep("=", "missed summary info")
        _write(reporter, terminal.listed_lines(listed, layout.width))
    show = len(session.misses) if layout.detail is terminal.Detail.EVERYTHING else MISSES
    if not session.misses or layout.detail < terminal.Detail.TABLES or session.config.option.tbstyle in ("no", "line"):
        return
    reporter.write_sep("=", "missed cases", bold=True)
    _write(reporter, terminal.miss_lines(session.misses[:show]))
    if (hidden := len(session.misses) - show) > 0:
        reporter.write_line(f"{hidden:,} more: -v shows all")


def _width() -> int:
    """The width of the terminal, or 80 if it reports less than 40, as pytest does for its own lines."""
    width = shutil.get_terminal_size().columns
    return width if width >= 40 else 80  # noqa: PLR2004 - pytest's figures


def _write(reporter: pytest.TerminalReporter, lines: Iterable[Line]) -> None:
    for line, markup in lines:
        reporter.write_line(line, **markup)


def _remember_as_failed(session: FinetuneSession, report: pytest.TestReport) -> None:
    """Report a missed case to `--lf` as failed, so that it runs again."""
    last_failed = session.config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:
        failed = copy.copy(report)
        failed.outcome = "failed"
        last_failed.pytest_runtest_logreport(failed)


def _has_no_item(name: str) -> bool:
    return "::gate[" in name or "::promote[" in name


def _forget_gates(session: FinetuneSession) -> None:
    """Remove gates and promotions from `--lf`: there is no item to run again."""
    last_failed = session.config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:
        for failed in [name for name in last_failed.lastfailed if _has_no_item(str(name))]:
            del last_failed.lastfailed[failed]
