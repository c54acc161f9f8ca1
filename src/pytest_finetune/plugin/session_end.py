"""After the last item: judge the samples, report the verdicts as tests, and write the summary."""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.plugin import report_files
from pytest_finetune.plugin.late_tests import report_gates, report_test
from pytest_finetune.plugin.report_data import CarriedSamples
from pytest_finetune.plugin.session import MissedCase
from pytest_finetune.reports import terminal
from pytest_finetune.reports.sources import from_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest
    from pytest_finetune.plugin.promotion import Promotion
    from pytest_finetune.plugin.report_files import WrittenReport
    from pytest_finetune.plugin.session import FinetuneSession, ReportedCases, SessionOutcome
    from pytest_finetune.plugin.session_inputs import SessionInputs
    from pytest_finetune.reports.text import Line


LEAST = -2
"""pytest's verbosity under `-qq`: the outcome and nothing else."""

MISSES, FLIPS = 3, 5
"""Maximum number of missed cases, and of flips, shown without `-v`."""

REPORT = "report"
"""Name of the test that fails for a report that could not be written; its file is the option."""

_LISTED_BY = {"missed": "x", "error": "E"}
"""The letter of pytest's `-r` that lists cases in this state; pytest itself treats both as expected failures."""


def attach_samples(models: ModelsUnderTest, cases: ReportedCases, report: pytest.TestReport) -> None:
    """On an xdist worker, attach the samples to the report that ends their case, for the controller."""
    if not hasattr(report, "finetune_key"):
        return
    spec, _, _ = report.finetune_key
    model = next(model for model in models.all if model.spec == spec)
    samples = cases.find(*report.finetune_key)[2]
    answered = tuple(sample for sample in samples if sample.state is not State.UNRUN)
    report.finetune = CarriedSamples(spec, answered, model.stopped)  # type: ignore[attr-defined]


def collect(inputs: SessionInputs, models: ModelsUnderTest, report: pytest.TestReport) -> None:
    """Take the samples of a report, on the controller only."""
    carried = getattr(report, "finetune", None)
    if carried is None or inputs.is_worker:
        return
    models.collect(carried.model, carried.samples, carried.stopped)
    # The terminal keeps every report to the end of the session; the samples need to be kept only once.
    del report.finetune


def remember(config: pytest.Config, inputs: SessionInputs, outcome: SessionOutcome, report: pytest.TestReport) -> None:
    """Remember a missed case for the summary and for `--lf`."""
    if not inputs.is_worker and hasattr(report, "finetune_reason") and hasattr(report, "wasxfail"):
        case = MissedCase(report.nodeid, report.finetune_state, str(report.wasxfail), str(report.longrepr))
        outcome.missed.append(case)
        _remember_as_failed(config, report)


def conclude(
    pytest_session: pytest.Session, session: FinetuneSession, promotion: Promotion | None, *, cut_short: bool = False
) -> None:
    """
    Judge the samples, and report gates and promotion as tests, before pytest counts its failed tests.

    Args:
        pytest_session: Counts the failed tests, gates included, before the promotion is assessed.
        session: Its outcome is set.
        promotion: The promotion, with `--promote`.
        cut_short: Whether the session ended before all its tests had run, for example by `-x` or `pytest.exit`.
    """
    if session.inputs.is_worker:
        return
    config = pytest_session.config
    _judge(session)
    report_gates(config, session.outcome.runs)
    # Before the promotion, which a report that could not be written prevents as any failed test does.
    for report in _write_reports(config, session.outcome):
        if report.failed_option:
            pytest_session.testscollected += 1
            problem = report.line.removeprefix("warning: ")
            hint = "the run is recorded: pytest-finetune report RUN -o PATH writes its page"
            failure = f"could not be written:\n{problem}; {hint}"
            report_test(config, report.failed_option, REPORT, failure=failure)
    if promotion is not None:
        promotion.assess(pytest_session, cut_short=cut_short)
    _forget_gates(config)


def interrupt(config: pytest.Config, session: FinetuneSession) -> None:
    """On Ctrl-C, stop sending requests and leave the records open."""
    if not session.inputs.is_worker:
        _judge(session)
        _write_reports(config, session.outcome)


def _judge(session: FinetuneSession) -> None:
    models = session.models
    models.stop()
    results = models.judge()
    session.outcome.runs += [
        from_session(model.evaluation, [one for one in results if one.model == model.spec], judged=model.judged)
        for model in (models.all if results else ())
    ]


def _write_reports(config: pytest.Config, outcome: SessionOutcome) -> list[WrittenReport]:
    written = list(report_files.write(config, outcome.runs))
    outcome.lines += [report.line for report in written]
    return written


def write_summary(inputs: SessionInputs, outcome: SessionOutcome, reporter: pytest.TerminalReporter) -> None:
    """Write the summary, in the reporter's own width and colours."""
    option, runs = reporter.config.option, outcome.runs
    if not runs:
        _write(reporter, ((line, {}) for line in outcome.lines))
        return
    if option.verbose < LEAST or option.no_summary:
        return
    detail = terminal.Detail(min(option.verbose - LEAST, terminal.Detail.EVERYTHING))
    layout = terminal.Layout(_width(), detail, inputs.redact)
    _write_cases(outcome.missed, reporter, layout)
    if detail > terminal.Detail.OUTCOME:
        reporter.write_sep("=", "finetune", bold=True)
    _write(reporter, terminal.summary_lines(runs, layout))
    lines = [line for line in outcome.lines if detail > terminal.Detail.OUTCOME or line.startswith("warning: ")]
    _write(reporter, ((line, {}) for line in lines))
    if detail >= terminal.Detail.TABLES:
        show = None if detail is terminal.Detail.EVERYTHING else FLIPS
        _write(reporter, terminal.baseline_lines(runs, show=show, layout=layout))


def _write_cases(missed: Sequence[MissedCase], reporter: pytest.TerminalReporter, layout: terminal.Layout) -> None:
    """Show missed cases as pytest shows failed ones: texts depending on `--tb`, one line each depending on `-r`."""
    listed = [(case.state, case.nodeid, case.reason) for case in missed if reporter.hasopt(_LISTED_BY[case.state])]
    if listed:
        reporter.write_sep("=", "missed summary info")
        _write(reporter, terminal.listed_lines(listed, layout.width))
    show = len(missed) if layout.detail is terminal.Detail.EVERYTHING else MISSES
    if not missed or layout.detail < terminal.Detail.TABLES or reporter.config.option.tbstyle in ("no", "line"):
        return
    reporter.write_sep("=", "missed cases", bold=True)
    _write(reporter, terminal.miss_lines((case.nodeid, case.text) for case in missed[:show]))
    if (hidden := len(missed) - show) > 0:
        reporter.write_line(f"{hidden:,} more: -v shows all")


def _width() -> int:
    """The width of the terminal, or 80 if it reports less than 40, as pytest does for its own lines."""
    width = shutil.get_terminal_size().columns
    return width if width >= 40 else 80  # noqa: PLR2004 - pytest's figures


def _write(reporter: pytest.TerminalReporter, lines: Iterable[Line]) -> None:
    for line, markup in lines:
        reporter.write_line(line, **markup)


def _remember_as_failed(config: pytest.Config, report: pytest.TestReport) -> None:
    """Report a missed case to `--lf` as failed, so that it runs again."""
    last_failed = config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:
        failed = copy.copy(report)
        failed.outcome = "failed"
        last_failed.pytest_runtest_logreport(failed)


def _has_no_item(name: str) -> bool:
    return "::gate[" in name or "::promote[" in name or name.startswith("--finetune-")


def _forget_gates(config: pytest.Config) -> None:
    """Remove gates and promotions from `--lf`: there is no item to run again."""
    last_failed = config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:
        for failed in [name for name in last_failed.lastfailed if _has_no_item(str(name))]:
            del last_failed.lastfailed[failed]
