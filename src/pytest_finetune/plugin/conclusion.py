"""After the last item: samples into verdicts, verdicts into tests, and the closing section."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from pytest_finetune.plugin.gates import report_gates
from pytest_finetune.plugin.promotion import promote
from pytest_finetune.reports import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

    from pytest_finetune.plugin.session import FinetuneSession


def collect(session: FinetuneSession, report: pytest.TestReport) -> None:
    """Take a report's samples, once, on the controller; and let --lf know what was missed."""
    told = getattr(report, "finetune", None)
    if told is None or session.is_worker:
        return
    session.collect(told["model"], told["samples"], stopped=told["stopped"])
    # The terminal keeps every report to the end of the session; the samples are kept once, by us.
    del report.finetune
    if hasattr(report, "wasxfail"):
        session.misses.append((report.nodeid, str(report.longrepr)))
        _remember_as_failed(session, report)


def conclude(session: FinetuneSession, failed: Callable[[], int]) -> None:
    """Judge what there is, write the records, report the gates as tests, and promote; `failed` counts failed tests."""
    if session.is_worker:
        return
    session.stop_asking()
    session.judge()
    report_gates(session.config, session)
    if session.config.option.finetune_promote:
        promote(session, failed())
    _forget_gates(session)


def interrupt(session: FinetuneSession) -> None:
    """Ctrl-C: nothing more is asked, and the records stay open; there is nothing to judge."""
    if not session.is_worker:
        session.stop_asking()
        session.judge()


def write_summary(session: FinetuneSession, reporter: pytest.TerminalReporter) -> None:
    """The closing section, in the reporter's own width and colours."""
    if not session.results or session.config.option.verbose < -1:
        return
    # Where a gate failed, a few misses are worth seeing unasked.
    show = len(session.misses) if session.config.option.verbose > 0 else 3
    if show and session.misses:
        reporter.section("missed cases", bold=True)
        _write(reporter, terminal.miss_lines(session.misses[:show]))
        if (hidden := len(session.misses) - show) > 0:
            reporter.write_line(f"{hidden:,} more: -v shows all")
    reporter.section("finetune", bold=True)
    detailed = session.config.option.verbose > 0
    _write(reporter, terminal.closing_lines(session.evaluations, session.results, detailed=detailed))
    _write(reporter, terminal.baseline_lines(session.results, show=None if session.config.option.verbose > 0 else 5))


def _write(reporter: pytest.TerminalReporter, lines: Iterable[terminal.Line]) -> None:
    for line, markup in lines:
        reporter.write_line(line, **markup)


def _remember_as_failed(session: FinetuneSession, report: pytest.TestReport) -> None:
    """`--lf` goes by failed reports; a missed case is one to run again, so it is told as one."""
    last_failed = session.config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:
        failed = copy.copy(report)
        failed.outcome = "failed"
        last_failed.pytest_runtest_logreport(failed)


def _is_no_item(name: str) -> bool:
    return "::gate[" in name or "::promote[" in name


def _forget_gates(session: FinetuneSession) -> None:
    """A gate is no item that could be run again: `--lf` would look for it in vain."""
    last_failed = session.config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:
        for failed in [name for name in last_failed.lastfailed if _is_no_item(str(name))]:
            del last_failed.lastfailed[failed]
