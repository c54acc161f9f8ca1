"""
`local:NAME`: a real model on this machine, offline, which always gives the same answer to the same request.

llama.cpp processes prompts in batches, and the shape of a batch changes the last bits of its sums: at temperature 0, a
server with several slots, or one that reuses earlier prompts, answered up to 8 of 60 prompts differently when their
order changed. So there is one process with one slot per core.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.targets.llama import CONTEXT, LlamaProcess
from pytest_finetune.evaluation.targets.llama_slot import Slot
from pytest_finetune.evaluation.targets.weights import find_weights

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.base.records import Completion, Request

MOST_PROCESSES = 8

DEFAULT_LIMIT = 512
"""Tokens of an answer if the request sets no limit: within the default deadline of 120 s from 5 tokens per second on. A
small model may otherwise repeat itself until the context is full."""

_LIMITS = ("max_completion_tokens", "max_tokens", "n_predict")

LARGE = 1 << 30
"""Larger weights, in bytes, are loaded once, with all cores, because several copies might not fit into memory."""


class LocalTarget:
    """
    A GGUF model on llama.cpp processes of its own.

    Args:
        spec: `local:smollm2-135m`, `local:PATH.gguf`, or `local:NAME` for `NAME.gguf` in `models`.
        models: The folder of the user's own models and adapters.
        concurrency: Requests that may be in flight. More than there are processes wait, and the wait counts neither as
            latency nor towards a deadline.

    Raises:
        TargetError: There is no such model, or no engine to run it.
    """

    base_url = ""
    immutable = True
    free = True
    version = ""
    """The version in the registry that a `registry:` spec named; empty for other specs."""

    def __init__(self, spec: str, *, models: Path, concurrency: int = 32) -> None:
        self.spec = spec
        self._engine = _engine_version(spec)
        self._weights = find_weights(spec, models)
        self.model = self._weights.name
        self._count, self._threads = share_cores(_cores(), concurrency, self._weights.size())
        self._slots: list[Slot] = []
        self._idle: asyncio.Queue[Slot] = asyncio.Queue()

    @cached_property
    def identity(self) -> str:
        """What determines the answers: a hash of the weights, the engine's version, the limits of tokens."""
        return f"{self._weights.sha256()} xllamacpp {self._engine} context {CONTEXT} answer {DEFAULT_LIMIT}"

    async def open(self) -> None:
        """
        Load the model.

        Raises:
            TargetError: The engine cannot load it.
        """
        if self._slots:
            return
        self._idle = asyncio.Queue()
        self._slots = [
            Slot(self.spec, self.model, LlamaProcess(self._weights, self._threads)) for _ in range(self._count)
        ]
        try:
            await asyncio.gather(*(slot.open() for slot in self._slots))
        except BaseException:
            await self.close()
            raise
        for slot in self._slots:
            self._idle.put_nowait(slot)

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """One answer, within `deadline` seconds from when a process is free."""
        if not self._slots:
            raise RuntimeError("ask before open")
        if request.api == "embeddings":
            return Failure("target", f"{self.spec} writes text and has no embeddings", fatal=True)
        if all(request.params.get(name) is None for name in _LIMITS):
            request = replace(request, params={**request.params, "max_completion_tokens": DEFAULT_LIMIT})
        slot = await self._idle.get()
        try:
            return await slot.ask(request, deadline)
        finally:
            self._idle.put_nowait(slot)

    async def close(self) -> None:
        """End the processes and free the memory; a request in flight becomes a failure."""
        slots, self._slots = self._slots, []
        for slot in slots:
            await slot.close()


def share_cores(cores: int, concurrency: int, size: int) -> tuple[int, int]:
    """
    How many processes to start, and how many threads each gets.

    Small models gain more from one process per core than from several threads. One larger than `LARGE` is loaded once.
    """
    count = 1 if size > LARGE else max(1, min(cores, concurrency, MOST_PROCESSES))
    return count, max(1, cores // count)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _engine_version(spec: str) -> str:
    try:
        return version("xllamacpp")
    except PackageNotFoundError:
        raise TargetError("there is no engine for local models", spec, "pip install 'pytest-finetune[local]'") from None
