"""
Searches in a separate process, because only ending a process stops a regular expression that backtracks forever.

The process starts with the first search, serves all later ones, and ends with this process.
"""

from __future__ import annotations

import atexit
import json
from threading import Lock
from time import perf_counter

from pytest_finetune.base.line_process import NO_ANSWER, LineProcess

_PROGRAM = """
import json, signal, sys
from regress import Regex, RegressError
print("ready", flush=True)
for line in sys.stdin:
    pattern, flags, text, seconds = json.loads(line)
    if hasattr(signal, "setitimer"):
        # If the parent has died, nothing else would end a search that runs forever.
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
        if _process is None or not _process.is_ours:
            _process = LineProcess(("-c", _PROGRAM))
        try:
            _process.wait_until_ready()
            start = perf_counter()
            answer = _process.ask(json.dumps([pattern, flags, text, seconds]), seconds)
        except NO_ANSWER:
            _process.end()
            _process = None
            raise SearchTimeout(pattern) from None
        spent = perf_counter() - start
    if answer.startswith("bad "):
        raise ValueError(answer.removeprefix("bad "))
    return answer == "yes", spent


def _end() -> None:
    if _process is not None and _process.is_ours:
        _process.end()


_LOCK = Lock()
_process: LineProcess | None = None
atexit.register(_end)
