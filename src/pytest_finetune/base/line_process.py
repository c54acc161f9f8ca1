"""A child process that answers one line of text with another, and that can be ended whatever it is doing."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

START_SECONDS = 60.0
"""Time limit for the start of the process; generous, for busy machines."""

NO_ANSWER = (Empty, OSError)
"""What `LineProcess` raises when the time is up, or when the process is gone."""


class LineProcess:
    """
    A Python program that prints `ready`, and then a line for each line that it reads.

    Args:
        program: Arguments of the interpreter, such as `("-c", "…")`.
    """

    def __init__(self, program: Sequence[str]) -> None:
        self.owner = os.getpid()
        self._popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
        )
        assert self._popen.stdin is not None  # noqa: S101 - for the type checker
        assert self._popen.stdout is not None  # noqa: S101 - for the type checker
        self._input: IO[str] = self._popen.stdin
        self._answers: SimpleQueue[str] = SimpleQueue()
        Thread(target=_pass_on, args=(self._popen.stdout, self._answers), daemon=True).start()
        self._is_ready = False

    @property
    def is_ours(self) -> bool:
        """Whether this process started it; a fork shares the pipes of its parent's process and must not use them."""
        return self.owner == os.getpid()

    def wait_until_ready(self) -> None:
        """Raises one of `NO_ANSWER` if the process does not start."""
        if not self._is_ready:
            if self._answers.get(timeout=START_SECONDS) != "ready":
                raise BrokenPipeError
            self._is_ready = True

    def ask(self, question: str, seconds: float) -> str:
        """The answer to one line of ASCII; raises one of `NO_ANSWER` if there is none in this time."""
        self._input.write(question + "\n")
        self._input.flush()
        answer = self._answers.get(timeout=seconds)
        if not answer:
            raise BrokenPipeError
        return answer

    def end(self) -> None:
        """End the process at once."""
        self._popen.kill()
        self._popen.wait()
        # Unwritten data has no reader any more.
        with suppress(OSError):
            self._input.close()


def _pass_on(lines: IO[str], answers: SimpleQueue[str]) -> None:
    with lines:
        for line in lines:
            answers.put(line.rstrip("\n"))
    # An empty line stands for the end of the process.
    answers.put("")
