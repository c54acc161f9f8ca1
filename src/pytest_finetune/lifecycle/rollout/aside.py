"""Work beside the request path, in threads of their own: what fails or hangs there holds up nobody."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Aside:
    """
    Starts short pieces of work that nobody waits for.

    A thread each, and no pool: a pool's threads are gone in a forked worker while the pool believes in them.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: set[threading.Thread] = set()

    def start(self, work: Callable[[], None]) -> None:
        """
        Begin a piece of work, which has to deal with its own failures.

        Raises:
            RuntimeError: The system, or the end of the process, allows no further thread.
        """
        thread = threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._running.discard(thread)
            raise

    def wait(self, seconds: float) -> bool:
        """Let what has begun end, for so many seconds at most; whether it did."""
        until = time.monotonic() + seconds
        for thread in tuple(self._running):
            thread.join(max(0.0, until - time.monotonic()))
        return not self._running

    def forget(self) -> None:
        """Know of no work any more; in a forked child its threads are not there."""
        self._running = set()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._running.discard(threading.current_thread())
