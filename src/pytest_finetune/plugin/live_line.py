"""The live line: on a row of its own below pytest's dots while one waits, and gone before pytest writes again."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from pytest_finetune.reports.progress import progress_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pytest

    from pytest_finetune.evaluation.tally import Tally

GRACE = 0.5
"""Seconds from the first wait in which the line does not appear: a quick session never shows it."""

STAYS = 1.0
"""Seconds after a wait in which the next one shows the line at once, so that it does not flicker."""

REAL_WAIT = 0.1
"""Seconds of a wait that is worth a line; where dots follow each other faster, they are progress enough."""

# One row down and up again makes room below, which at the foot of the screen scrolls; then there and back.
_BEGIN, _END = "\x1bD\x1b[A\x1b7\r\n\x1b[2K", "\x1b8"
_ERASE = "\x1b[J"


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


def _columns() -> int:
    """The narrower of what the user says and what the terminal is, which may change at any time."""
    told = shutil.get_terminal_size().columns
    try:
        real = os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 0
    except (OSError, ValueError):
        # No terminal behind it, or closed: what the user says must do.
        real = 0
    return min(told, real) if real else told
