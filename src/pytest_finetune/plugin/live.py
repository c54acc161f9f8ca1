"""Shows the progress line below pytest's dots during a wait, and erases it before pytest writes again."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.plugin.live_line import GRACE, LiveLine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest
    from pytest_finetune.evaluation.tally import Tally
    from pytest_finetune.plugin.session_inputs import SessionInputs
    from pytest_finetune.verdicts.evalset import EvalSet


def begin(config: pytest.Config, inputs: SessionInputs, models: ModelsUnderTest) -> None:
    """Show the progress line if the terminal supports it and no other plugin moves the cursor."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if inputs.is_worker or reporter is None or not _may_show(config, reporter):
        return
    line = LiveLine(reporter, models.tally)
    if inputs.is_distributed:
        # The controller does not wait for samples; it draws between reports.
        config.pluginmanager.register(ControllerLine(line, inputs.eval_sets.values(), models.tally), "finetune-live")
    else:
        models.waiting = line.waiting


def _may_show(config: pytest.Config, reporter: pytest.TerminalReporter) -> bool:
    """
    False if disabled, without a terminal, in CI, and if another plugin moves the cursor.

    A reporter of another class draws its own progress (pytest-sugar, pytest-rich). Live logs are written by the
    background thread at any time, and would end up in the middle of the line.
    """
    quiet = config.option.pytest_finetune_no_progress or config.option.verbose < -1
    # pytest 8 has a plain bool here, which cannot be called.
    watched = bool(reporter.isatty) and not {"CI", "BUILD_NUMBER"} & os.environ.keys()
    moves = os.environ.get("TERM", "dumb") not in ("dumb", "unknown") and sys.platform != "win32"
    return not quiet and watched and moves and not _logs_live(config) and type(reporter) is pytest.TerminalReporter


def _logs_live(config: pytest.Config) -> bool:
    try:
        return bool(config.getini("log_cli")) or config.getoption("log_cli_level", None) is not None
    except ValueError:
        # -p no:logging
        return False


class ControllerLine:
    """
    The line of an xdist controller, which knows only what reports contain, so it is redrawn after each report.

    The line is below the one that pytest writes to. Whatever hook makes the terminal write next erases it first, hence
    `tryfirst` here: otherwise pytest's text would be mixed with it.
    """

    def __init__(self, line: LiveLine, eval_sets: Iterable[EvalSet], tally: Tally) -> None:
        self._line, self._tally = line, tally
        self._repeats = {eval_set.name: eval_set.repeats for eval_set in eval_sets}
        self._begun = time.monotonic()
        self._planned = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Count the planned samples; all workers collect the same items, so the first list is enough."""
        self._line.erase()
        if not self._planned:
            self._planned = True
            self._tally.plan(sum(self._repeats.get(nodeid.partition("::")[0], 0) for nodeid in ids))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Erase the line after the last item, before the terminal writes its last percentage."""
        try:
            return (yield)
        finally:
            self._line.erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """The terminal may write the file's name next."""
        self._line.erase()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, None, None]:
        """Let the terminal write its dot, then draw the line with the new figures."""
        self._line.erase()
        yield
        if time.monotonic() - self._begun >= GRACE:
            self._line.draw()

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self) -> None:
        """The terminal may write next."""
        self._line.erase()

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> None:
        """The terminal reports a lost worker next."""
        self._line.erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """The terminal shows the traceback next."""
        self._line.erase()
