"""Background work in daemon threads; if it fails or hangs, no request waits for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class BackgroundThreads:
    """
    Starts short background tasks, one thread each.

    There is no pool, because a forked worker would inherit a pool that believes in threads it does not have.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: set[threading.Thread] = set()

    def start(self, work: Callable[[], None]) -> None:
        """
        Run a task in the background. It has to handle its own exceptions.

        Raises:
            RuntimeError: No thread can be started, because of a system limit or because the interpreter is exiting.
        """
        thread = threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._running.discard(thread)
            raise

    def wait(self, seconds: float) -> bool:
        """Wait for all tasks, at most this many seconds; returns whether all have ended."""
        until = time.monotonic() + seconds
        for thread in tuple(self._running):
            thread.join(max(0.0, until - time.monotonic()))
        return not self._running

    def forget(self) -> None:
        """Forget all tasks: a forked child does not have their threads."""
        self._running = set()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._running.discard(threading.current_thread())
