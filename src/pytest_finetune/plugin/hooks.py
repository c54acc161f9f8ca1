"""The hooks of a session with a model: they pass plain values to the packages below, and report what these return."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.records import State
from pytest_finetune.plugin import (
    junit,
    live,
    lost_workers,
    marked_functions,
    privacy,
    report_files,
    requesting,
    session_end,
)
from pytest_finetune.plugin.batches import refuse_unusable_batch
from pytest_finetune.plugin.items import EvalItem, EvalSetFile, annotate
from pytest_finetune.plugin.limit import apply_limit
from pytest_finetune.plugin.names import NAMES
from pytest_finetune.plugin.other_plugins import forks, not_collected, refuse_unusable_options
from pytest_finetune.plugin.promotion import PROMOTION, Promotion, refuse_unclear_promotion
from pytest_finetune.plugin.report_data import ReportData
from pytest_finetune.plugin.session import SESSION, FinetuneSession, ReportedCases
from pytest_finetune.plugin.session_inputs import hint_to_import, no_eval_sets, read_inputs
from pytest_finetune.plugin.session_models import make_models
from pytest_finetune.plugin.worker_inputs import WorkerInputs
from pytest_finetune.reports import terminal
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def begin(config: pytest.Config) -> None:
    """
    Load the eval sets, make the models, and register the hooks.

    Raises:
        pytest.UsageError: An eval set, a setting or a model spec cannot be used; one message names all faults.
    """
    if config.getoption("dist", "no") == "each" and not hasattr(config, "workerinput"):
        hint = "use --dist=load"
        raise pytest.UsageError(f"--dist=each would send every request once per worker\n  hint: {hint}")
    if config.option.pytest_finetune_stop_when_decided and config.getoption("numprocesses", None):
        hint = "remove -n or --stop-when-decided"
        raise pytest.UsageError(
            f"--stop-when-decided does not work with xdist: each worker sees only its own answers\n  hint: {hint}"
        )
    refuse_unusable_batch(config)
    report_files.refuse_unwritable(config)
    # Modules, cases and items live until the end; traversing them again took a tenth of collecting 10,000 cases.
    gc.freeze()
    try:
        inputs = read_inputs(config)
        refuse_unusable_options(config, inputs.eval_sets.values())
        session = FinetuneSession(inputs, make_models(config, inputs))
        if config.option.pytest_finetune_promote:
            refuse_unclear_promotion(inputs, session.models)
    except FinetuneError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[SESSION] = session
    cases = ReportedCases(inputs.eval_sets.values(), session.models)
    hooks = SessionHooks(config, session, cases)
    config.pluginmanager.register(hooks, "finetune-session")
    if inputs.is_distributed:
        config.pluginmanager.register(hooks.lost_workers, "finetune-lost-workers")
        config.pluginmanager.register(WorkerInputs(config, session), "finetune-worker-inputs")
    config.pluginmanager.register(ReportData(), "finetune-report-data")
    junit.begin(config, cases, session.outcome, privacy.begin(config, session.models))
    if getattr(config.option, "htmlpath", None) and not inputs.is_worker:
        from pytest_finetune.plugin.html import HtmlReport

        names = [model.spec for model in session.models.all]
        report = HtmlReport(names, cases, session.outcome, redact=inputs.redact)
        config.pluginmanager.register(report, "finetune-html")


class SessionHooks:
    """The hooks of a session with a model."""

    def __init__(self, config: pytest.Config, session: FinetuneSession, cases: ReportedCases) -> None:
        self.config, self.session, self.cases = config, session, cases
        self.inputs, self.models = session.inputs, session.models
        self.marked_sets = marked_functions.MarkedSets(session.inputs)
        self.requested: set[pytest.Item] = set()
        self.collected: set[Path] = set()
        self.forecast_items: list[pytest.Item] = []
        self.unrun = 0
        self.lost_workers = lost_workers.LostWorkers({eval_set.name for eval_set in session.inputs.eval_sets.values()})
        self.promotion: Promotion | None = None
        if config.option.pytest_finetune_promote and not session.inputs.is_worker:
            self.promotion = config.stash[PROMOTION] = Promotion(config, session)

    def pytest_sessionstart(self) -> None:
        """Set up the progress line."""
        live.begin(self.config, self.inputs, self.models)

    def pytest_report_header(self) -> list[str]:
        """List the models, and warn about their eval sets."""
        return terminal.header_lines(self.models.evaluations, self.models.compared)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """If pytest finds nothing in a named table or YAML file, say how it becomes an eval set."""
        try:
            return (yield)
        except pytest.UsageError as error:
            if hint := hint_to_import(session.config):
                raise pytest.UsageError(*error.args, hint) from error
            raise

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> EvalSetFile | None:
        """Collect the session's eval sets; leave every other file alone."""
        if file_path not in self.inputs.eval_sets:
            return None
        self.collected.add(file_path)
        return EvalSetFile.from_parent(parent, path=file_path)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise the user's marked functions."""
        marked_functions.parametrize(metafunc, self.marked_sets, self.models)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """With --collect-only, keep the items for the forecast."""
        gc.freeze()
        if self.config.option.collectonly:
            self.forecast_items = session.items

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Report the faults of marked sets; refuse a session that evaluates nothing, or not all that it has loaded."""
        if not self.inputs.is_worker:
            self.config.stash[NAMES].refuse_ini_of_others()
        if self.marked_sets.faults:
            raise pytest.UsageError("\n".join(dict.fromkeys(self.marked_sets.faults)))
        if session.testsfailed:
            return
        if missing := [one.name for path, one in self.inputs.eval_sets.items() if path not in self.collected]:
            self._refuse_uncollected(session, items, not_collected(session.config, missing))
        if self.inputs.limit is not None:
            apply_limit(session.config, items, self.inputs.limit)
        if self.inputs.eval_sets or self.marked_sets.names:
            return
        if self.inputs.is_worker:
            # xdist takes a worker's usage error for a crash; the controller collects nothing, so it refuses nothing.
            items.clear()
        else:
            raise pytest.UsageError(no_eval_sets(session.config))

    def _refuse_uncollected(self, session: pytest.Session, items: list[pytest.Item], message: str) -> None:
        if not self.inputs.is_worker:
            raise pytest.UsageError(message)
        # xdist takes a worker's usage error for a crash; a collection error reaches the controller.
        items.clear()
        report = pytest.CollectReport("eval sets", "failed", longrepr=message, result=[])
        session.config.hook.pytest_collectreport(report=report)

    # Inside the wrapper of the terminal, which writes its last percentage only after the gates have been reported.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Start the requests, run the items, then judge, and report the gates as tests."""
        if session.config.option.collectonly:
            return (yield)
        requesting.start(self.inputs, self.models, session)
        try:
            result = yield
            requesting.count_late_tests(self.inputs, self.models, session)
        except KeyboardInterrupt:
            self.models.collect_stops()
            if not self.models.stopped or not self.inputs.is_distributed:
                session_end.interrupt(self.config, self.session)
                raise
            # xdist raises it when a worker has stopped; what follows is the same as in one process.
            result = None
        except BaseException:
            session_end.conclude(session, self.session, self.promotion, cut_short=True)
            raise
        problem = self._problem()
        session_end.conclude(session, self.session, self.promotion, cut_short=bool(problem))
        stopped = self.models.stopped
        reason = failure_words(stopped, redact=self.inputs.redact) if stopped else problem
        if reason and self.inputs.is_worker:
            # xdist takes an interrupted worker for a crash and replaces it. This reaches the controller, too.
            session.shouldstop = session.shouldstop or reason
        elif reason:
            raise session.Interrupted(reason)
        return result

    def _problem(self) -> str:
        """Why the session must not succeed although no test failed; empty if there is no reason, and on a worker."""
        if self.inputs.is_worker:
            return ""
        unrun = (
            f"{self.unrun:,} case{'' if self.unrun == 1 else 's'} got no answer: another plugin may run cases in a "
            "process that receives none"
            if self.unrun
            else ""
        )
        return self.lost_workers.problem or unrun

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """On an xdist worker, request ahead for the batch that it holds; before a fork, wait for the samples."""
        if self.inputs.is_worker:
            requesting.request_batch(self.models, self.requested, item, nextitem)
        if forks(item):
            requesting.await_samples(self.models, item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the case and its state to its report."""
        report = yield
        if isinstance(item, EvalItem):
            annotate(item, call, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> lost_workers.TestStatus | None:
        """Name the states that pytest does not have: missed, errored, unrun, and those of a lost worker's cases."""
        if uncounted := lost_workers.status(report):
            return uncounted
        state = getattr(report, "finetune_state", None)
        return terminal.STATE_NAMES.get(state) if state is not None and report.skipped else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Detach the samples before other plugins keep the report; afterwards remember a missed case."""
        if self.inputs.is_worker:
            session_end.attach_samples(self.models, self.cases, report)
        self.lost_workers.follow(report)
        self.unrun += getattr(report, "finetune_state", None) == State.UNRUN
        session_end.collect(self.inputs, self.models, report)
        yield
        session_end.remember(self.config, self.inputs, self.session.outcome, report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the summary of eval sets and gates, and what to do next; with --collect-only a forecast."""
        if self.config.option.collectonly:
            # Below the list of tests, which may be long.
            for line in requesting.forecast(self.models, self.forecast_items):
                terminalreporter.write_line(line)
        session_end.write_summary(self.inputs, self.session.outcome, terminalreporter)

    def pytest_unconfigure(self) -> None:
        """Stop sending requests, however the session ended."""
        self.models.stop()
        gc.unfreeze()
