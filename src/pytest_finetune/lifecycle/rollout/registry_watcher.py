"""Watches a registry for changes while the program runs; an unusable one never replaces the last good one."""

from __future__ import annotations

import logging
import threading
from math import inf
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry import FileBackend
from pytest_finetune.lifecycle.registry.verification import refuse_altered
from pytest_finetune.lifecycle.rollout.routing import traffic_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.lifecycle.registry import Backend, Registry
    from pytest_finetune.lifecycle.rollout.background_threads import BackgroundThreads
    from pytest_finetune.lifecycle.rollout.routing import TrafficPlan

logger = logging.getLogger("pytest_finetune.rollout")

Signature = tuple[int, int, int]
"""Modification time, size and inode: a file that was replaced has another inode even within one tick of the clock."""


class RegistryWatcher:
    """
    Checks whether a registry has changed, and passes on each new one.

    Args:
        backend: The registry.
        adopt: Called with each new registry and its plan, in the thread that read them.
        threads: Where the registry is read, so that no request waits for it.
        poll: Seconds between two checks. For a file a check is one `stat`; any other backend is read.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        backend: Backend,
        adopt: Callable[[Registry, TrafficPlan], None],
        *,
        threads: BackgroundThreads,
        poll: float,
        clock: Callable[[], float],
    ) -> None:
        self._backend, self._adopt, self._threads = backend, adopt, threads
        self._path = backend.path if isinstance(backend, FileBackend) else None
        self._poll, self._clock = poll, clock
        self._next = -inf
        # None until a read succeeds, so that a registry that could not be read is read again at the next check.
        self._seen: Signature | None = None
        self._current: Registry | None = None
        self._log_oncet = ""
        self._reading = threading.Lock()

    def poll(self) -> None:
        """Check for changes if it is time to, and read in another thread; called on the request path."""
        now = self._clock()
        # If the clock was set back, do not wait until it has caught up.
        if self._next - self._poll <= now < self._next or self._reading.locked():
            return
        self._next = now + self._poll
        if self._path is None or _signature(self._path) != self._seen:
            try:
                self._threads.start(self.read)
            except RuntimeError as error:
                self._log_once(f"cannot start a thread to read it: {error}")

    def after_fork(self) -> None:
        """In a forked child no thread is reading, even if one was in the parent."""
        self._reading = threading.Lock()

    def read(self) -> None:
        """Read now; if the registry cannot be used, log that once and keep the last good one."""
        try:
            self.read_or_raise()
        except RegistryError as error:
            self._log_once(str(error))
        except Exception as error:  # noqa: BLE001 - a backend may raise anything, and watching continues
            self._log_once(f"{type(error).__name__}: {error}")

    def read_or_raise(self) -> None:
        """
        Read now.

        Raises:
            RegistryError: The registry cannot be read, does not agree with its history, or has no production.
        """
        with self._reading:
            # Taken before reading, so that a change during the read is seen at the next check.
            seen, self._seen = _signature(self._path) if self._path else None, None
            self._next = self._clock() + self._poll
            registry = self._backend.read()
            if registry != self._current:
                refuse_altered(registry, self._backend.location)
                self._adopt(registry, traffic_plan(registry, self._backend.location))
                self._current = registry
            self._seen, self._log_oncet = seen, ""

    def _log_once(self, problem: str) -> None:
        if problem != self._log_oncet:
            self._log_oncet = problem
            logger.error("%s: using the last good registry: %s", self._backend.location, problem)


def _signature(path: Path) -> Signature | None:
    """Changes when the content of the file changes; None if there is no readable file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
