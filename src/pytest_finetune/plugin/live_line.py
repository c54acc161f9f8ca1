"""Draws and erases the progress line, on a row of its own below pytest's dots."""

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
"""Seconds after the start of the first wait until the line appears, so a quick session never shows it."""

STAYS = 1.0
"""Seconds after a wait during which the next wait shows the line at once, so that it does not flicker."""

REAL_WAIT = 0.1
"""Shortest wait in seconds that shows the line; if dots appear faster, they show the progress."""

# Index (ESC D) and cursor up make room below, by scrolling if pytest writes on the last row of the screen. Then: save
# the cursor (ESC 7), go to the row below, clear it, and after the text restore the cursor (ESC 8).
_BEGIN, _END = "\x1bD\x1b[A\x1b7\r\n\x1b[2K", "\x1b8"
_ERASE = "\x1b[J"


class LiveLine:
    """
    The progress line of one terminal.

    Without xdist it is drawn by pytest's own thread while that waits for a sample, and erased before the wait ends. So
    no lock is needed: nothing else writes to the terminal in the meantime.
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
        """A context around one wait; yields a function, to be called repeatedly, that draws the line when it is due."""
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
        """Draw the current figures."""
        with self._uncaptured():
            line = progress_line(self._tally.progress(), _columns() - 1)
            self._drawn = bool(line) or self._drawn
            if line:
                self._write(f"{_BEGIN}{line}{_END}")

    def erase(self) -> None:
        """Erase the line, which leaves the screen as pytest left it."""
        if self._drawn:
            with self._uncaptured():
                self._write(_ERASE)
            self._drawn = False

    def _write(self, text: str) -> None:
        """Write without changing pytest's count of the columns in its line. `write_raw` exists since pytest 9.0."""
        writer: Any = self._reporter.config.get_terminal_writer()
        if hasattr(writer, "write_raw"):
            writer.write_raw(text, flush=True)
        else:
            counted = writer._current_line  # noqa: SLF001
            writer.write(text, flush=True)
            writer._current_line = counted  # noqa: SLF001

    def _tick(self) -> None:
        now = self._clock()
        soon = self._first is None or now - self._first < GRACE
        if not soon and (now - self._since >= REAL_WAIT or now - self._seen < STAYS):
            self.draw()

    def _uncaptured(self) -> AbstractContextManager[None]:
        """Suspend pytest's capture: while an item runs, it owns the terminal's file descriptor."""
        capture: Any = self._reporter.config.pluginmanager.get_plugin("capturemanager")
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()


def _columns() -> int:
    """The narrower of $COLUMNS and the real terminal, which may be resized at any time."""
    wanted = shutil.get_terminal_size().columns
    try:
        real = os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 0
    except (OSError, ValueError):
        # Not a terminal, or closed.
        real = 0
    return min(wanted, real) if real else wanted
