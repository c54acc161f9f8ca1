"""Planned samples waiting to be requested, not too far ahead of the reader."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_finetune.evaluation.engine import KeyedRequest
    from pytest_finetune.evaluation.plan import Planned
    from pytest_finetune.evaluation.tally import Tally

WINDOW = 1024
"""Samples that may be requested ahead of the one being read: what `-x` or Ctrl-C may waste at most."""


class Backlog:
    """
    Planned samples waiting to be requested, at most `WINDOW` ahead of the reader. Used on the event loop only.

    Args:
        model: The model id on the wire.
        skip: Called with a sample whose turn has come; True if it is not to be requested.
        must_wait: Called with that sample before; True if answers on their way may make it unneeded.
        is_over: Called before each request; True if no more are to be sent.
        tally: Counts the requests that are sent.
    """

    def __init__(
        self,
        model: str,
        skip: Callable[[Planned], bool],
        must_wait: Callable[[Planned], bool],
        is_over: Callable[[], bool],
        tally: Tally,
    ) -> None:
        self._model, self._skip, self._must_wait, self._is_over, self._tally = model, skip, must_wait, is_over, tally
        self._planned: list[Planned] = []
        self._taken = 0
        self._read = 0
        self._closed = False
        self._is_held = False
        self._more = asyncio.Event()

    async def next(self) -> KeyedRequest[Planned] | None:
        """The next request; waits while the reader is too far behind, or while more samples may be added."""
        if self._is_held:
            # The caller has just added an answer, which others may be waiting for.
            self._is_held = False
            self._more.set()
        while not self._closed:
            if self._has_next():
                if self._is_over():
                    self.close()
                    break
                planned = self._planned[self._taken]
                self._taken += 1
                if self._skip(planned):
                    continue
                self._tally.count_sent()
                return planned.request(self._model)
            self._more.clear()
            await self._more.wait()
        return None

    def _has_next(self) -> bool:
        if self._taken >= min(len(self._planned), self._read + WINDOW):
            return False
        self._is_held = self._must_wait(self._planned[self._taken])
        return not self._is_held

    def extend(self, planned: Iterable[Planned]) -> None:
        """Append samples, in the order in which they are to be requested."""
        self._planned.extend(planned)
        self._more.set()

    def read_up_to(self, position: int) -> None:
        """Note how many samples the reader has come to, which moves the window."""
        self._read = position
        self._more.set()

    def close(self) -> None:
        """Request nothing more."""
        self._closed = True
        self._more.set()
