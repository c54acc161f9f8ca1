"""The live line: on a row of its own below pytest's dots while one waits, and gone before pytest writes again."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.plugin.live_line import GRACE, LiveLine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pytest_finetune.plugin.session import FinetuneSession


def begin(session: FinetuneSession) -> None:
    """Show a live line in this session, where there is somebody to see it and nothing it could get in the way of."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if session.is_worker or reporter is None or not _may_show(config, reporter):
        return
    if config.getoption("dist", "no") == "no":
        session.live = LiveLine(reporter, session.tally)
    else:
        config.pluginmanager.register(ControllerLine(reporter, session), "finetune-live")


def _may_show(config: pytest.Config, reporter: pytest.TerminalReporter) -> bool:
    """
    Off where it was asked off, where nobody watches, and where others move the cursor.

    A reporter of another class draws its own progress (pytest-sugar, pytest-rich), and live logs are written by the
    thread that asks.
    """
    quiet = config.option.finetune_no_progress or config.option.verbose < -1
    watched = reporter.isatty() and not {"CI", "BUILD_NUMBER"} & os.environ.keys()
    moves = os.environ.get("TERM", "dumb") not in ("dumb", "unknown") and sys.platform != "win32"
    logs = config.getini("log_cli") or config.getoption("log_cli_level", None) is not None
    return not quiet and watched and moves and not logs and type(reporter) is pytest.TerminalReporter


class ControllerLine:
    """The line of an xdist controller, which asks nothing and knows what the reports tell: drawn after each of them."""

    def __init__(
        self, reporter: pytest.TerminalReporter, session: FinetuneSession, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session, self._clock = session, clock
        self._line = LiveLine(reporter, session.tally)
        self._begun = clock()
        self._planned = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Every worker collects the same; the first one tells how many samples there will be."""
        self._line.erase()
        if not self._planned:
            self._planned = True
            repeats = {eval_set.name: eval_set.repeats for eval_set in self._session.eval_sets.values()}
            self._session.tally.plan(sum(repeats.get(nodeid.partition("::")[0], 0) for nodeid in ids))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Be gone when the items are done, before the terminal writes its last percentage."""
        try:
            return (yield)
        finally:
            self._line.erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """The terminal writes next."""
        self._line.erase()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, None, None]:
        """The terminal writes its dot without the line below, which then shows what the report told."""
        self._line.erase()
        yield
        if self._clock() - self._begun >= GRACE:
            self._line.draw()

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self) -> None:
        """As above."""
        self._line.erase()

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> None:
        """The terminal tells that a worker is gone."""
        self._line.erase()

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """The terminal tells what broke."""
        self._line.erase()
