"""The live line: on a row of its own below pytest's dots while one waits, and gone before pytest writes again."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.reports.progress import progress_line

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from pytest_finetune.plugin.session import FinetuneSession
    from pytest_finetune.tally import Tally

GRACE = 0.5
"""Seconds from the first wait in which the line does not appear: a quick session never shows it."""

STAYS = 1.0
"""Seconds after a wait in which the next one shows the line at once, so that it does not flicker."""

REAL_WAIT = 0.1
"""Seconds of a wait that is worth a line; where dots follow each other faster, they are progress enough."""

# One row down and up again makes room below, which at the foot of the screen scrolls; then there and back.
_BEGIN, _END = "\x1bD\x1b[A\x1b7\r\n\x1b[2K", "\x1b8"
_ERASE = "\x1b[J"


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


class LiveLine:
    """
    The line of a session that asks in its own process, drawn by the thread that waits.

    That thread is pytest's own: while it waits nobody else writes to the terminal, and it erases the line before it
    goes on.
    """

    def __init__(
        self, reporter: pytest.TerminalReporter, tally: Tally, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reporter, self._tally, self._clock = reporter, tally, clock
        self._since = 0.0
        self._first: float | None = None
        self._seen = -STAYS
        self._drawn = False

    @contextmanager
    def waiting(self) -> Iterator[Callable[[], None]]:
        """Around one wait; what it yields is to be called now and then."""
        self._since = self._clock()
        self._first = self._since if self._first is None else self._first
        try:
            yield self._tick
        finally:
            if self._drawn:
                self.erase()
                if self._clock() - self._since >= REAL_WAIT:
                    self._seen = self._clock()

    def draw(self) -> None:
        """Show the figures of this moment."""
        with self._uncaptured():
            line = progress_line(self._tally.progress(), _columns() - 1)
            self._drawn = bool(line) or self._drawn
            if line:
                self._reporter.write_raw(f"{_BEGIN}{line}{_END}", flush=True)

    def erase(self) -> None:
        """Leave the screen as pytest left it."""
        if self._drawn:
            with self._uncaptured():
                self._reporter.write_raw(_ERASE, flush=True)
            self._drawn = False

    def _tick(self) -> None:
        now = self._clock()
        soon = self._first is None or now - self._first < GRACE
        if not soon and (now - self._since >= REAL_WAIT or now - self._seen < STAYS):
            self.draw()

    def _uncaptured(self) -> AbstractContextManager[None]:
        """While an item waits, the terminal's own descriptor leads into pytest's capture."""
        capture: Any = self._reporter.config.pluginmanager.get_plugin("capturemanager")
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()


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


def _columns() -> int:
    """The narrower of what the user says and what the terminal is, which may change at any time."""
    told = shutil.get_terminal_size().columns
    try:
        real = os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 0
    except (OSError, ValueError):
        # No terminal behind it, or closed: what the user says must do.
        real = 0
    return min(told, real) if real else told
