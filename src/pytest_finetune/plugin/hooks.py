"""The hooks of a session with a model: they hand plain values to the core and hand its answers back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.plugin import asking, conclusion, junit, live, markdown, marks, page, privacy
from pytest_finetune.plugin.items import EvalItem, EvalSetFile, annotate
from pytest_finetune.plugin.promotion import Promotion, refuse_unclear_promotion
from pytest_finetune.plugin.report_data import ReportData
from pytest_finetune.plugin.report_file import refuse_unwritable
from pytest_finetune.plugin.session import SESSION, FinetuneSession
from pytest_finetune.plugin.session_inputs import no_eval_sets
from pytest_finetune.reports import terminal
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def begin(config: pytest.Config) -> None:
    """
    Load everything, and register the hooks.

    Raises:
        pytest.UsageError: An eval set, a setting or a model spec cannot be used; one message tells all faults.
    """
    if config.getoption("dist", "no") == "each" and not hasattr(config, "workerinput"):
        hint = "use --dist=load"
        raise pytest.UsageError(f"--dist=each would send every request once per worker\n  hint: {hint}")
    if config.option.finetune_stop_when_decided and config.getoption("numprocesses", None):
        hint = "leave out -n, or --stop-when-decided"
        raise pytest.UsageError(f"--stop-when-decided counts in one process, and xdist has several\n  hint: {hint}")
    for option in (markdown.OPTION, page.OPTION):
        refuse_unwritable(config, option)
    try:
        session = FinetuneSession(config)
        if config.option.finetune_promote:
            refuse_unclear_promotion(session)
    except FinetuneError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SESSION] = session
    config.pluginmanager.register(SessionHooks(session), "finetune-session")
    config.pluginmanager.register(ReportData(), "finetune-report-data")
    junit.begin(session, privacy.begin(session))
    if getattr(config.option, "htmlpath", None) and not session.is_worker:
        from pytest_finetune.plugin import html

        html.begin(session)


class SessionHooks:
    """Everything that pytest calls while eval sets run."""

    def __init__(self, session: FinetuneSession) -> None:
        self.session = session
        self.promotion: Promotion | None = None
        if session.config.option.finetune_promote and not session.is_worker:
            self.promotion = Promotion(session)
            # Runs after every plugin's pytest_sessionfinish and pytest_unconfigure: nothing may fail after a promotion.
            session.config.add_cleanup(self.promotion.finish)

    def pytest_sessionstart(self) -> None:
        """Make ready to show how far it is while one waits."""
        live.begin(self.session)

    def pytest_report_header(self) -> list[str]:
        """Name the models, and whatever in the eval sets is odd but usable."""
        return terminal.header_lines(self.session.evaluations, self.session.compared)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> EvalSetFile | None:
        """Collect the session's eval sets; leave every other file alone."""
        return EvalSetFile.from_parent(parent, path=file_path) if self.session.covers(file_path) else None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise the user's marked functions."""
        marks.parametrize(metafunc, self.session)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Report the faults of marked sets, and refuse a session in which nothing is evaluated."""
        if self.session.mark_faults:
            raise pytest.UsageError("\n".join(dict.fromkeys(self.session.mark_faults)))
        if session.testsfailed or self.session.eval_sets or self.session.marked_names:
            return
        if self.session.is_worker:
            # A worker's usage error would be a crash to xdist; the controller collects nothing, so refuses nothing.
            items.clear()
        else:
            raise pytest.UsageError(no_eval_sets(session.config))

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        """Where nothing will be asked, tell how many calls there would be, and what they may cost."""
        return asking.forecast(self.session, items) if self.session.config.option.collectonly else []

    # Within the terminal's own wrapper, which writes its last percentage when the gates are told too.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Put the questions in flight, run the items, then judge, and report the gates as tests."""
        if session.config.option.collectonly:
            return (yield)
        asking.start(self.session, session)
        try:
            result = yield
            asking.count_gates(self.session, session)
        except KeyboardInterrupt:
            conclusion.interrupt(self.session)
            raise
        except BaseException:
            conclusion.conclude(self.session, session, self.promotion, cut_short=True)
            raise
        conclusion.conclude(self.session, session, self.promotion)
        if self.session.stopped:
            redact = session.config.option.finetune_redact
            raise session.Interrupted(failure_words(self.session.stopped, redact=redact))
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """On one of xdist's workers, ask ahead for the batch it holds."""
        if self.session.is_worker:
            asking.ask_batch(self.session, item, nextitem)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the samples on the report of their case."""
        report = yield
        if isinstance(item, EvalItem):
            annotate(item, call, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Missed, errored and unrun have names of their own."""
        state = getattr(report, "finetune_state", None)
        return terminal.STATE_NAMES.get(state) if state is not None and report.skipped else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Take the samples that the report carries before others see it, and remember a miss after they have."""
        conclusion.collect(self.session, report)
        yield
        conclusion.remember(self.session, report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker where the records are, and how its work is dealt."""
        try:
            node.workerinput["finetune_runs"] = self.session.run_paths()
        except FinetuneError as error:
            raise pytest.UsageError(str(error)) from error
        node.workerinput["finetune_dist"] = self.session.config.getoption("dist", "no")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Close with a line a set, a line a gate, and what to do next."""
        conclusion.write_summary(self.session, terminalreporter)

    def pytest_unconfigure(self) -> None:
        """End what asks, however the session ended."""
        self.session.stop_asking()
