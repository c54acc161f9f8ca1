"""The pool of loaded models: a fixed number of llama.cpp processes, shared by all models."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pytest_finetune.server.chat.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pytest_finetune.evaluation.targets.weights import Weights


class ModelPool:
    """
    A pool of relays; each serves one request at a time.

    A request for a model without an idle relay loads the model once more, in place of the relay that was idle longest.

    Args:
        weights: Finds the files of a model by its name; raises ApiError or TargetError if there are none.
        places: Maximum number of relays. Further requests wait in order of arrival.
    """

    def __init__(self, weights: Callable[[str], Weights], places: int) -> None:
        self.places = places
        self._weights = weights
        self._free = asyncio.Semaphore(places)
        self._idle: list[Relay] = []
        self._busy = 0

    @asynccontextmanager
    async def relay(self, model: str) -> AsyncIterator[Relay]:
        """
        Take a relay of a model for one request.

        Raises:
            ApiError: There is no such model.
            TargetError: The engine cannot load it.
        """
        self._weights(model)
        async with self._free:
            relay = None
            # Counted back in the finally without an await, so that a cancelled request gives its place back.
            self._busy += 1
            try:
                relay = self._take(model) or await self._replace(model)
                yield relay
            finally:
                self._busy -= 1
                if relay is not None:
                    self._idle.append(relay)

    def _take(self, model: str) -> Relay | None:
        found = next((relay for relay in reversed(self._idle) if relay.model == model), None)
        if found is not None:
            self._idle.remove(found)
        return found

    async def _replace(self, model: str) -> Relay:
        if len(self._idle) + self._busy > self.places:
            await self._idle.pop(0).close()
        return Relay(self._weights(model))

    async def forget(self, model: str) -> None:
        """Unload a model that was deleted."""
        while (relay := self._take(model)) is not None:
            await relay.close()

    async def close(self) -> None:
        """Unload all idle models."""
        while self._idle:
            await self._idle.pop().close()
