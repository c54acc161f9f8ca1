"""pytest in a real pseudo-terminal, and the screen after each piece of output."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator
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
