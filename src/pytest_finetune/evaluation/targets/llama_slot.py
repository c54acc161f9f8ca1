"""
Requests to one llama.cpp process, such that an answer depends on its request only.

The cases of an eval set share a system prompt, and processing it for each of them would be half the work. The server's
own prompt cache changes answers: the last bits of its sums depend on where a prompt was cut and in how many batches it
was processed. So the system prompt is processed once on its own, its state is saved, and each request starts from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

import aiohttp

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.targets.control_tokens import control_pattern, escape_request
from pytest_finetune.evaluation.targets.openai import OpenAITarget
from pytest_finetune.evaluation.targets.request_body import encode
from pytest_finetune.evaluation.targets.retry import Try

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.base.records import Completion, Request
    from pytest_finetune.evaluation.targets.llama import LlamaProcess

MOST_SAVED = 8
"""System prompts whose state is saved (about 23 kB per token for the small model); others are processed each time."""

_CLOSED = "the model was closed before it answered"


class Slot(OpenAITarget):
    """
    A llama.cpp process, which answers one request at a time.

    Requests are not retried, because what it refuses once it always refuses, and what crashes it once always does. A
    request that sets `cache_prompt` is sent unchanged.

    Args:
        spec: As the user wrote it.
        model: The model id on the wire.
        process: Started by `open`, and again by a request after it ended; closed with the slot.
    """

    def __init__(self, spec: str, model: str, process: LlamaProcess) -> None:
        environ = {"OPENAI_API_KEY": process.key}
        super().__init__(spec, model=model, base_url="http://localhost/v1", environ=environ, concurrency=1)
        self._process = process
        self._saved: set[str] = set()
        self._refused: set[str] = set()

    async def open(self) -> None:
        """
        Load the model, unless it is loaded.

        Raises:
            TargetError: The engine cannot load it, or the slot was closed.
        """
        if self._session is not None and self._process.pid is not None:
            return
        # Connections to a process that has ended must not be used for the next one.
        await super().close()
        await self._process.start()
        self.base_url = f"{self._process.address}/v1"
        await super().open()

    def _connector(self) -> aiohttp.BaseConnector:
        # A connection for each request, because llama.cpp closes an idle one after five seconds, and a request that is
        # sent at that moment fails.
        if self._process.socket_path is None:
            return aiohttp.TCPConnector(force_close=True)
        return aiohttp.UnixConnector(self._process.socket_path, force_close=True)

    async def close(self) -> None:
        """End the process; a request in flight becomes a failure."""
        self._process.close()
        await super().close()

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """One answer, within `deadline` seconds, which include processing the system prompt, but not the loading."""
        try:
            await self.open()
        except TargetError as error:
            return Failure("target", _CLOSED if self._process.closed else str(error))
        request = self._escaped(request)
        started = time.monotonic()
        with self._ended_if_abandoned():
            try:
                async with asyncio.timeout(deadline):
                    has_read = await self._read_system_prompt(request)
            except TimeoutError:
                self._process.kill()
                return Failure("timeout", f"the system prompt was not read within {deadline:g} s", latency=deadline)
            except (aiohttp.ClientError, OSError) as error:
                return self._engine_failure(str(error))
            if has_read:
                request = replace(request, params={**request.params, "cache_prompt": True})
            outcome = await super().ask(request, deadline - (time.monotonic() - started))
        if isinstance(outcome, Failure) and outcome.kind == "timeout":
            self._process.kill()
        return outcome

    def _escaped(self, request: Request) -> Request:
        return escape_request(request, control_pattern(self._process.model))

    @contextmanager
    def _ended_if_abandoned(self) -> Iterator[None]:
        """
        End the process if its request was abandoned.

        llama.cpp itself looks only once per second whether a client has gone, and never while it compiles a grammar.
        Loading a small model again takes less than that second.
        """
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self._process.kill()
            raise

    def _engine_failure(self, problem: str) -> Failure:
        """What a broken connection means; the process is started again by the next request."""
        how = self._process.end()
        if self._process.closed:
            return Failure("target", _CLOSED)
        if how is None:
            return Failure("target", f"no answer from the llama.cpp engine: {problem}")
        hint = "; a deeply nested grammar or schema does that" if self._process.crashed else ""
        return Failure("target", f"the llama.cpp engine {how} while it worked on this request{hint}")

    async def _read_system_prompt(self, request: Request) -> bool:
        """Put the slot into the state after the system prompt; False if there is none that can be processed alone."""
        prompt = _system_prompt(request)
        body = None if prompt is None else encode(prompt)
        if not isinstance(body, bytes):
            return False
        key = hashlib.sha256(body).hexdigest()
        if key in self._refused:
            return False
        saved = json.dumps({"filename": key}).encode()
        if key in self._saved and await self._post("/slots/0?action=restore", saved):
            return True
        if not await self._post("/v1/chat/completions", body):
            self._refused.add(key)
            return False
        if len(self._saved) < MOST_SAVED and await self._post("/slots/0?action=save", saved):
            self._saved.add(key)
        return True

    async def _post(self, path: str, body: bytes) -> bool:
        """Whether the server carried out a command; if not, the request itself will report why."""
        if self._session is None:
            raise aiohttp.ClientConnectionError(_CLOSED)
        async with self._session.post(f"{self._process.address}{path}", data=body) as response:
            await response.read()
            return response.ok

    async def _call(self, session: aiohttp.ClientSession, body: bytes) -> Try:
        outcome = (await super()._call(session, body)).outcome
        if isinstance(outcome, Failure) and outcome.kind == "connection":
            return Try(self._engine_failure(outcome.message))
        if isinstance(outcome, Failure) and outcome.kind in ("server", "malformed"):
            return Try(replace(outcome, kind="target"))
        return Try(outcome)


def _system_prompt(request: Request) -> Request | None:
    """The part of a request that many share and that comes first: leading system messages, and tools."""
    leading = tuple(takewhile(lambda message: message.role in ("system", "developer"), request.messages))
    if not leading or len(leading) == len(request.messages) or "cache_prompt" in request.params:
        return None
    tools = {"tools": request.params["tools"]} if request.params.get("tools") else {}
    alone = {**tools, "max_tokens": 1, "temperature": 0, "cache_prompt": False}
    return replace(request, messages=leading, params=alone)
