"""Masks the API key in every report before it leaves its process; `--finetune-redact` removes prompts and answers."""

from __future__ import annotations

import copy
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
import pytest

from pytest_finetune.base.secret_masking import masked_keys
from pytest_finetune.plugin.items import CaseNotPassedError, EvalItem
from pytest_finetune.plugin.marked_functions import is_marked
from pytest_finetune.plugin.session import is_own_skip
from pytest_finetune.reports.redaction import hidden, is_hidden

if TYPE_CHECKING:
    import warnings
    from collections.abc import Callable, Generator

    from _pytest._code.code import ExceptionRepr
    from _pytest.subtests import SubtestContext

    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest

_FOREIGN = (str(Path(pytest.__file__).parents[1] / "_pytest"), str(Path(pluggy.__file__).parent))

_HANDLERS = ("log_cli_handler", "log_file_handler")
"""Attributes of pytest's logging plugin; what it captures for reports is masked there."""


def begin(config: pytest.Config, models: ModelsUnderTest) -> Privacy:
    """Mask reports and log lines in this process, a worker's too, before other plugins see them."""
    privacy = Privacy(models, redact=config.option.pytest_finetune_redact)
    config.pluginmanager.register(privacy, "finetune-privacy")
    _mask_logs(config, privacy.log_line)
    return privacy


class Privacy:
    """
    The outermost hooks around reports.

    They are the last to change a new report, so nothing that another plugin adds is missed, and the first to see it
    when it is logged, so that no report file has what was added in between.
    """

    def __init__(self, models: ModelsUnderTest, *, redact: bool) -> None:
        self.redact = redact
        self._evaluations = models.evaluations
        self._case_ids: set[str] = set()
        self._case_is_running = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Remember whether a test of a case is running: its log lines may contain a prompt or an answer."""
        self._case_is_running = _is_case(item)
        try:
            return (yield)
        finally:
            self._case_is_running = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mask the report of a test."""
        report = yield
        if self.redact and _is_case(item):
            self._case_ids.add(item.nodeid)
            _redact(report, item, call)
        self._mask(report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Mask what other plugins added to a report: names and output of subtests, extras of pytest-html."""
        if report.nodeid in self._case_ids:
            _redact_additions(report)
        self._mask(report)
        context = getattr(report, "context", None)
        if context is not None:
            report.context = _renamed_subtest(context, self.without_keys)  # type: ignore[attr-defined] # of subtests
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Mask the report of a collector: a broken import may show the environment."""
        report = yield
        self._mask(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: ExceptionRepr, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Mask the traceback of a hook that failed."""
        text = str(excrepr)
        shown = _locations(excinfo) if self.redact else self.without_keys(text)
        if shown != text:
            excrepr.toterminal = lambda tw: tw.line(shown)  # type: ignore[method-assign]

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        """Mask a warning before it is printed."""
        text = str(warning_message.message)
        shown = self.mask_for(nodeid)(text)
        if shown != text:
            warning_message.message = shown

    def log_line(self, line: str) -> str:
        """Mask a line for the live log or the log file; redact one of a case's test or of the background thread."""
        ours = self._case_is_running or threading.current_thread() is not threading.main_thread()
        return hidden(line) if self.redact and ours else self.without_keys(line)

    def mask_for(self, nodeid: str) -> Callable[[str], str]:
        """The function that masks what a test printed or recorded outside its report."""
        return hidden if nodeid in self._case_ids else self.without_keys

    def without_keys(self, text: str) -> str:
        """The text without the API key."""
        return masked_keys(text, self._keys())

    def _mask(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.longrepr is not None:
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            shown = self.without_keys(text)
            if shown != text:
                report.longrepr = _with_text(report.longrepr, shown)
        report.sections = [(name, self.without_keys(text)) for name, text in report.sections]
        if not isinstance(report, pytest.TestReport):
            return
        if hasattr(report, "wasxfail"):
            report.wasxfail = self.without_keys(report.wasxfail)
        report.user_properties = [(name, self._property(value)) for name, value in report.user_properties]
        for extra in getattr(report, "extras", ()):
            extra["content"] = self._property(extra.get("content"))

    def _property(self, value: object) -> object:
        """The value itself, of any type, unless its text contains the key."""
        text = str(value)
        shown = self.without_keys(text)
        return value if shown == text else shown

    def _keys(self) -> set[str]:
        known = (getattr(evaluation.target, "secret", "") for evaluation in self._evaluations)
        return {key for key in (os.environ.get("OPENAI_API_KEY", "").strip(), *known) if key}


class _MaskingFormatter(logging.Formatter):
    """Formats records with another formatter, then masks the text, exceptions and stacks included."""

    def __init__(self, inner: logging.Formatter, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._inner, self._mask = inner, mask

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        return self._mask(self._inner.format(record))


def _mask_logs(config: pytest.Config, mask: Callable[[str], str]) -> None:
    """Mask the live log and the log file, which no report passes through; does nothing with `-p no:logging`."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    for name in _HANDLERS:
        handler = getattr(plugin, name, None)
        if isinstance(handler, logging.Handler) and handler.formatter is not None:
            handler.setFormatter(_MaskingFormatter(handler.formatter, mask))


def _is_case(item: pytest.Item) -> bool:
    return isinstance(item, EvalItem) or is_marked(item)


def _redact(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remove everything that may contain a prompt or an answer from the report of a case."""
    if isinstance(report.longrepr, tuple):
        if not is_own_skip(item, call.excinfo.value if call.excinfo else None):
            report.longrepr = _with_text(report.longrepr, hidden(report.longrepr[2]))
    elif call.excinfo is not None and not isinstance(call.excinfo.value, CaseNotPassedError):
        report.longrepr = _locations(call.excinfo)
        if isinstance(call.excinfo.value, pytest.xfail.Exception):
            report.wasxfail = hidden(str(call.excinfo.value))
    report.user_properties = [(name, hidden(str(value))) for name, value in report.user_properties]
    _redact_additions(report)


def _redact_additions(report: pytest.TestReport) -> None:
    """Remove what other plugins add to a report, when it is created and later."""
    report.sections = [(name, text if is_hidden(text) else hidden(text)) for name, text in report.sections]
    if hasattr(report, "extras"):
        report.extras = []  # type: ignore[attr-defined] # of pytest-html
    if hasattr(report, "context"):
        report.context = _renamed_subtest(report.context, hidden)  # type: ignore[attr-defined] # of subtests


def _renamed_subtest(context: SubtestContext, rewrite: Callable[[str], str]) -> SubtestContext:
    """A subtest with its names rewritten; it is pytest's own or of the plugin pytest-subtests."""
    # Its class would store the repr of these values, which are reprs already.
    changed = copy.copy(context)
    message = None if context.msg is None else rewrite(str(context.msg))
    object.__setattr__(changed, "msg", message)
    object.__setattr__(changed, "kwargs", {name: rewrite(str(value)) for name, value in context.kwargs.items()})
    return changed


def _locations(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """A traceback without source lines, values and message: only locations and the type of the exception."""
    entries = [entry for entry in excinfo.traceback if not str(entry.path).startswith(_FOREIGN)]
    lines = [f"{entry.path}:{entry.lineno + 1}: in {entry.name}" for entry in entries or excinfo.traceback[-1:]]
    return "\n".join([*lines, f"{excinfo.typename}: {hidden(str(excinfo.value))}"])


def _with_text(longrepr: object, text: str) -> str | tuple[str, int, str]:
    """The text in the form that pytest expects: a skip consists of a location and a reason."""
    return (*longrepr[:2], text) if isinstance(longrepr, tuple) else text
