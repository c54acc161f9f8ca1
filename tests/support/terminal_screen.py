"""A real pseudo-terminal, for pytest in a process of its own or for this process, and what is on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Screen = list[str]
"""The rows from the top, without spaces at their ends."""

UNWANTED = {"CI", "BUILD_NUMBER", "COLUMNS", "LINES", "NO_COLOR", "PYTEST_ADDOPTS"}
"""Environment variables about terminals, which must not reach the tests."""

SILENCE = 60
"""Seconds without output after which the session counts as hanging."""


class Terminal:
    """A terminal with this many rows and columns."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> None:
        self._stream.feed(text)

    @property
    def rows(self) -> Screen:
        return [row.rstrip() for row in self.screen.display]


def watch(folder: Path, *options: str, rows: int = 100, columns: int = 80, **environ: str) -> Iterator[Screen]:
    """Run pytest there; returns the screen after each piece of output, the final screen last."""
    terminal = Terminal(rows, columns)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *options],
        cwd=folder,
        env=kept | {"TERM": "xterm"} | environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            while piece := _read(ours):
                terminal.write(piece.decode("utf-8", "replace"))
                yield terminal.rows
        finally:
            process.kill()
            os.close(ours)


def _read(descriptor: int) -> bytes:
    """Read what is available; empty once the other side is closed."""
    if not select.select([descriptor], [], [], SILENCE)[0]:
        raise TimeoutError(f"nothing written for {SILENCE} s")
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # Linux reports the end of a pseudo-terminal as an error.
        return b""


@contextmanager
def own_terminal(columns: int = 80) -> Iterator[Callable[[], Screen]]:
    """Make stdout and stderr of this process a terminal; the function gives its rows up to the last one."""
    terminal = Terminal(24, columns)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def screen() -> Screen:
        output.flush()
        while select.select([ours], [], [], 0)[0]:
            terminal.write(_read(ours).decode("utf-8", "replace"))
        return "\n".join(terminal.rows).rstrip().split("\n")

    with os.fdopen(theirs, "w", encoding="utf-8") as output, redirect_stdout(output), redirect_stderr(output):
        try:
            yield screen
        finally:
            os.close(ours)
