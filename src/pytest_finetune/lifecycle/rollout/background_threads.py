"""Background tasks in daemon threads, and how a forked worker resets them."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable


class BackgroundThreads:
    """
    Starts short background tasks, one thread each.

    There is no thread pool: a forked worker would inherit one whose threads do not exist in the child.
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


class Forkable(Protocol):
    """An object with its own locks or threads."""

    def after_fork(self) -> None:
        """Replace locks and forget threads; only the forking thread exists in the child."""
        ...


_INSTANCES: WeakSet[Forkable] = WeakSet()


def reset_after_fork(one: Forkable) -> None:
    """Call `after_fork` in every child that this process forks, as long as the object exists."""
    # A lock that another thread of the parent holds during the fork would never be released in the child.
    _INSTANCES.add(one)


def _reset() -> None:
    for one in tuple(_INSTANCES):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
