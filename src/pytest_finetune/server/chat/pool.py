"""Loaded models: as many llama.cpp servers as there are places, given to the models that are asked."""

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
    Relays, each busy with one question or idle.

    A question for a model that is loaded nowhere idle loads it anew, in the place of what has been idle longest.

    Args:
        weights: The files of a model by its name; raises ApiError or TargetError where there are none.
        places: How many may be loaded at once; more questions wait, the first come first.
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
        A relay of a model for one question.

        Raises:
            ApiError: There is no such model.
            TargetError: The engine cannot load it.
        """
        self._weights(model)
        async with self._free:
            relay = None
            # What is counted here is counted back without waiting, so that a cancelled question loses no place.
            self._busy += 1
            try:
                relay = self._take(model) or await self._load(model)
                yield relay
            finally:
                self._busy -= 1
                if relay is not None:
                    self._idle.append(relay)

    def _take(self, model: str) -> Relay | None:
        found = next((relay for relay in reversed(self._idle) if relay.name == model), None)
        if found is not None:
            self._idle.remove(found)
        return found

    async def _load(self, model: str) -> Relay:
        if len(self._idle) + self._busy > self.places:
            # Shielded: a question that is called off meanwhile must not leave half a model behind.
            await asyncio.shield(self._idle.pop(0).stop())
        return await Relay.start(self._weights(model), threads=1)

    async def forget(self, model: str) -> None:
        """Unload a model that is deleted."""
        while (relay := self._take(model)) is not None:
            await relay.stop()

    async def close(self) -> None:
        """Unload everything that is idle."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(relay.stop() for relay in idle))
