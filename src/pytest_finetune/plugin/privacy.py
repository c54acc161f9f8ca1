"""No report leaves a process with the API key in it; under `--finetune-redact`, none with a prompt or an answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from pytest_finetune.plugin.items import CaseNotPassedError, EvalItem
from pytest_finetune.plugin.marks import is_marked
from pytest_finetune.reports.redaction import hidden
from pytest_finetune.targets.secret import masked

if TYPE_CHECKING:
    import warnings
    from collections.abc import Generator

    from pytest_finetune.plugin.session import FinetuneSession

_FOREIGN = (str(Path(pytest.__file__).parents[1] / "_pytest"), str(Path(pluggy.__file__).parent))
_OWN_SKIPS = ("Skipped: unrun: ", "Skipped: unneeded: ")


def begin(session: FinetuneSession) -> None:
    """Watch over the reports of this process, a worker's too: from there on they are in many hands."""
    session.config.pluginmanager.register(Privacy(session), "finetune-privacy")


class Privacy:
    """The outermost of the hooks that make reports."""

    def __init__(self, session: FinetuneSession) -> None:
        self.session = session
        self.redact: bool = session.config.option.finetune_redact
        self._of_cases: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Go through the report of a test."""
        report = yield
        if self.redact and (isinstance(item, EvalItem) or is_marked(item)):
            self._of_cases.add(item.nodeid)
            _redact(report, call)
        self._mask(report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Go through the report of a collector: a broken import may show the environment."""
        report = yield
        self._mask(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Go through what pytest says of a hook that broke."""
        told = str(excrepr)
        shown = _places(excinfo) if self.redact else self._without_keys(told)
        if shown != told:
            excrepr.toterminal = lambda terminal: terminal.line(shown)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        """Go through a warning before anybody prints it."""
        told = str(warning_message.message)
        shown = hidden(told) if nodeid in self._of_cases else self._without_keys(told)
        if shown != told:
            warning_message.message = shown

    def _mask(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.longrepr is not None:
            told = str(report.longrepr)
            shown = self._without_keys(told)
            if shown != told:
                report.longrepr = _like(report.longrepr, shown)
        report.sections = [(name, self._without_keys(text)) for name, text in report.sections]
        if isinstance(report, pytest.TestReport):
            report.user_properties = [
                (name, self._without_keys(value) if isinstance(value, str) else value)
                for name, value in report.user_properties
            ]

    def _without_keys(self, text: str) -> str:
        for key in self._keys():
            text = masked(text, key)
        return text

    def _keys(self) -> set[str]:
        known = (getattr(model.evaluation.target, "secret", "") for model in self.session.models)
        return {key for key in (os.environ.get("OPENAI_API_KEY", "").strip(), *known) if key}


def _redact(report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Leave out of a case's report whatever may hold its prompt or its answer."""
    if isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if not reason.startswith(_OWN_SKIPS):
            report.longrepr = _like(report.longrepr, hidden(reason))
    elif call.excinfo is not None and not isinstance(call.excinfo.value, CaseNotPassedError):
        report.longrepr = _places(call.excinfo)
        if isinstance(call.excinfo.value, pytest.xfail.Exception):
            report.wasxfail = hidden(str(call.excinfo.value))
    report.sections = [(name, hidden(text)) for name, text in report.sections]
    report.user_properties = [(name, hidden(str(value))) for name, value in report.user_properties]
    if hasattr(report, "extras"):
        report.extras = []  # type: ignore[attr-defined] # of pytest-html


def _places(excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """A traceback without source, values and message: where it went, and what was raised."""
    entries = [entry for entry in excinfo.traceback if not str(entry.path).startswith(_FOREIGN)]
    lines = [f"{entry.path}:{entry.lineno + 1}: in {entry.name}" for entry in entries or excinfo.traceback[-1:]]
    return "\n".join([*lines, f"{excinfo.typename}: {hidden(str(excinfo.value))}"])


def _like(longrepr: Any, text: str) -> Any:
    """The text in the form that pytest wants: a skip is a place and a reason."""
    return (*longrepr[:2], text) if isinstance(longrepr, tuple) else text
