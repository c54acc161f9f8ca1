"""
Searches in a separate process, because only ending a process stops a regular expression that backtracks for ever.

The process starts with the first search, serves all later ones, and ends with this process.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import perf_counter
from typing import IO

START_SECONDS = 60.0
"""Time limit for the start of the process; generous, for busy machines."""

_PROGRAM = """
import json, signal, sys
from regress import Regex, RegressError
print("ready", flush=True)
for line in sys.stdin:
    pattern, flags, text, seconds = json.loads(line)
    if hasattr(signal, "setitimer"):
        # If the parent has died, nothing else would end a search that runs for ever.
        signal.setitimer(signal.ITIMER_REAL, seconds + 5)
    try:
        answer = "yes" if Regex(pattern, flags).find(text) else "no"
    except (RegressError, UnicodeEncodeError) as error:
        answer = f"bad {error}"
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(ascii(answer)[1:-1], flush=True)
"""


class SearchTimeout(Exception):  # noqa: N818 - named after what happened
    """A pattern, its only argument, took too long on a text."""


def search_elsewhere(pattern: str, flags: str, text: str, seconds: float) -> tuple[bool, float]:
    """
    Whether an ECMA pattern occurs in a text, and how many seconds the search took.

    Args:
        pattern: As `regress` takes it.
        flags: The flags to compile it with.
        text: Where to search.
        seconds: Time limit for compiling and searching; waiting for other threads and for the start does not count.

    Raises:
        SearchTimeout: The time is up, or the process broke down.
        ValueError: It is not an ECMA pattern.
    """
    global _process  # noqa: PLW0603 - one process for all searches
    with _LOCK:
        # A fork shares the pipes of its parent's process and must not use them.
        if _process is None or _process.owner != os.getpid():
            _process = _SearchProcess()
        try:
            _process.wait_until_ready()
            start = perf_counter()
            answer = _process.ask(json.dumps([pattern, flags, text, seconds]), seconds)
        except (Empty, OSError):
            _process.end()
            _process = None
            raise SearchTimeout(pattern) from None
        spent = perf_counter() - start
    if answer.startswith("bad "):
        raise ValueError(answer.removeprefix("bad "))
    return answer == "yes", spent


class _SearchProcess:
    def __init__(self) -> None:
        self.owner = os.getpid()
        self._popen = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-c", _PROGRAM],
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

    def wait_until_ready(self) -> None:
        """Raises Empty or OSError if the process does not start."""
        if not self._is_ready:
            if self._answers.get(timeout=START_SECONDS) != "ready":
                raise BrokenPipeError
            self._is_ready = True

    def ask(self, question: str, seconds: float) -> str:
        """The answer to one question; raises Empty when the time is up, OSError when the process is gone."""
        self._input.write(question + "\n")
        self._input.flush()
        answer = self._answers.get(timeout=seconds)
        if not answer:
            raise BrokenPipeError
        return answer

    def end(self) -> None:
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


def _end() -> None:
    if _process is not None and _process.owner == os.getpid():
        _process.end()


_LOCK = Lock()
_process: _SearchProcess | None = None
atexit.register(_end)
