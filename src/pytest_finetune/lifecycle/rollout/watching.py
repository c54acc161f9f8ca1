"""A registry that is looked at again while the program runs: the newest one that is sound, never a broken one."""

from __future__ import annotations

import logging
import threading
from math import inf
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.lifecycle.registry import FileBackend
from pytest_finetune.lifecycle.registry.verification import refuse_altered
from pytest_finetune.lifecycle.rollout.routing import plan_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_finetune.lifecycle.registry import Backend, Registry
    from pytest_finetune.lifecycle.rollout.aside import Aside
    from pytest_finetune.lifecycle.rollout.routing import Plan

logger = logging.getLogger("pytest_finetune.rollout")

Signature = tuple[int, int, int]
"""Modification time, size and inode: a file that was replaced has another inode even within one tick of the clock."""


class Watch:
    """
    Looks whether a registry has changed, and hands over each new one.

    Args:
        backend: Where the registry is kept.
        adopt: Called with each new registry and its plan, in whichever thread read them.
        aside: Where reading is done, so that no request waits for it.
        poll: Seconds between two looks. A look at a file is one `stat`; another backend is read.
        clock: Seconds that do not go backwards.
    """

    def __init__(
        self,
        backend: Backend,
        adopt: Callable[[Registry, Plan], None],
        *,
        aside: Aside,
        poll: float,
        clock: Callable[[], float],
    ) -> None:
        self._backend, self._adopt, self._aside = backend, adopt, aside
        self._path = backend.path if isinstance(backend, FileBackend) else None
        self._poll, self._clock = poll, clock
        self._next = -inf
        # None until a reading succeeds: what could not be read is tried again at the next look.
        self._seen: Signature | None = None
        self._current: Registry | None = None
        self._complaint = ""
        self._reading = threading.Lock()

    def look(self) -> None:
        """On the request path: look when it is time to, and leave the reading to another thread."""
        now = self._clock()
        # A clock that was set back is no reason to wait until it has caught up.
        if self._next - self._poll <= now < self._next or self._reading.locked():
            return
        self._next = now + self._poll
        if self._path is None or _signature(self._path) != self._seen:
            try:
                self._aside.start(self.read)
            except RuntimeError as error:
                self._complain(f"cannot be looked at: {error}")

    def after_fork(self) -> None:
        """In a forked child nobody reads, whatever the parent was doing."""
        self._reading = threading.Lock()

    def read(self) -> None:
        """Read now; where it cannot be used, say so once and keep the last good one."""
        try:
            self.read_or_raise()
        except RegistryError as error:
            self._complain(str(error))
        except Exception as error:  # noqa: BLE001 - a backend's own fault is no reason to stop looking
            self._complain(f"{type(error).__name__}: {error}")

    def read_or_raise(self) -> None:
        """
        Read now.

        Raises:
            RegistryError: The registry cannot be read, does not agree with its history, or has no production.
        """
        with self._reading:
            # Taken before reading: what changes meanwhile is read again, never missed.
            seen, self._seen = _signature(self._path) if self._path else None, None
            self._next = self._clock() + self._poll
            registry = self._backend.read()
            if registry != self._current:
                refuse_altered(registry, self._backend.location)
                self._adopt(registry, plan_of(registry, self._backend.location))
                self._current = registry
            self._seen, self._complaint = seen, ""

    def _complain(self, problem: str) -> None:
        if problem != self._complaint:
            self._complaint = problem
            logger.error("%s: the last good registry stays in use: %s", self._backend.location, problem)


def _signature(path: Path) -> Signature | None:
    """What tells one content from another; None where there is no file to be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
