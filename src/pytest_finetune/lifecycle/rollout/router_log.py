"""What a router logs, each problem once, and the fallbacks that it records in the registry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry import Change
from pytest_finetune.lifecycle.rollout.routing import FALLBACK, traffic_plan

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.registry import Backend
    from pytest_finetune.lifecycle.rollout.background_threads import BackgroundThreads
    from pytest_finetune.lifecycle.rollout.monitor import Alarm

logger = logging.getLogger("pytest_finetune.rollout")

_MOST_LOGGED = 100
"""Maximum number of different problems logged per registry state, however many unknown names callers use."""


class RouterLog:
    """
    The log of one router.

    Args:
        backend: The registry.
        threads: Where fallbacks are recorded.
        who: Author of the records of fallbacks; None records none.
    """

    def __init__(self, backend: Backend, threads: BackgroundThreads, *, who: str | None) -> None:
        self._backend, self._threads, self._who = backend, threads, who
        self._logged: set[str] = set()

    def once(self, about: str, problem: str) -> None:
        """Log a problem once, and at most `_MOST_LOGGED` different ones, until the registry changes."""
        if len(self._logged) < _MOST_LOGGED and self.is_first(about):
            logger.warning("%s", problem)

    def is_first(self, about: str) -> bool:
        """Whether this was not logged yet since the registry changed; from now on it was."""
        is_first = about not in self._logged
        self._logged.add(about)
        return is_first

    def start_again(self) -> None:
        """The registry has changed: problems are logged again."""
        self._logged.clear()

    def alarm(self, alarm: Alarm) -> None:
        """Log a fallback, and record it in the background."""
        if alarm.to is None:
            logger.error("%s keeps serving, because the registry names no fallback: %s", alarm.version, alarm.why)
            return
        logger.error("%s falls back to %s: %s", alarm.version, alarm.to, alarm.why)
        if self._who is not None:
            try:
                self._threads.start(lambda: self._record(alarm, self._who or ""))
            except RuntimeError as error:
                logger.error("the fallback of %s could not be recorded: %s", alarm.version, error)  # noqa: TRY400

    def _record(self, alarm: Alarm, who: str) -> None:
        try:
            # Many processes may notice at the same time; one record is enough.
            if alarm.version not in traffic_plan(self._backend.read(), self._backend.location).recorded:
                why = f"falls back to {alarm.to}: {alarm.why}"
                self._backend.update(Change(FALLBACK, alarm.version, who, why))
        except Exception as error:  # noqa: BLE001 - a backend may raise anything; no request waits for this thread
            logger.error("the fallback of %s could not be recorded: %s", alarm.version, error)  # noqa: TRY400
