"""
Requests to one llama.cpp server in this process, such that an answer depends on its request only.

The cases of an eval set share a system prompt, and processing it for each of them would be half the work. The server's
own prompt cache changes answers: the last bits of its sums depend on where a prompt was cut and in how many batches it
was processed. So the system prompt is processed once on its own, its state is saved, and each request starts from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

import aiohttp

from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.targets.grammar_nesting import nesting_problem
from pytest_finetune.evaluation.targets.llama import LOOK_AGAIN
from pytest_finetune.evaluation.targets.openai import OpenAITarget
from pytest_finetune.evaluation.targets.request_body import encode
from pytest_finetune.evaluation.targets.retry import Try

if TYPE_CHECKING:
    from pytest_finetune.base.records import Completion, Request

MOST_SAVED = 8
"""System prompts whose state is saved (about 23 kB per token for the small model); others are processed each time."""

CLOSED = Failure("target", "the model was closed before it answered")


class Slot(OpenAITarget):
    """
    A server with one slot, which answers one request at a time.

    Requests are not retried, because what it refuses once it always refuses. A request that sets `cache_prompt` is sent
    unchanged.

    Args:
        spec: As the user wrote it.
        model: The model id on the wire.
        address: The server's address, without `/v1`.
        socket_path: The Unix socket behind the address; None if it is a TCP address.
        key: The server's key.
    """

    def __init__(self, spec: str, model: str, address: str, *, socket_path: str | None = None, key: str = "") -> None:
        environ = {"OPENAI_API_KEY": key}
        super().__init__(spec, model=model, base_url=f"{address}/v1", environ=environ, concurrency=1)
        self._address, self._socket_path = address, socket_path
        self._saved: set[str] = set()
        self._refused: set[str] = set()
        self._left = False

    def _connector(self) -> aiohttp.BaseConnector:
        if self._socket_path is None:
            return super()._connector()
        return aiohttp.UnixConnector(self._socket_path, limit=self.concurrency, keepalive_timeout=30)

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """One answer, within `deadline` seconds, which include processing the system prompt."""
        if problem := nesting_problem(request.params):
            return Failure("bad_request", problem)
        started = time.monotonic()
        try:
            async with asyncio.timeout(deadline):
                await self._begin()
                has_read = await self._read_system_prompt(request)
        except TimeoutError:
            return Failure("timeout", f"the system prompt was not read within {deadline:g} s", latency=deadline)
        if self._session is None:
            return CLOSED
        if has_read:
            request = replace(request, params={**request.params, "cache_prompt": True})
        outcome = await super().ask(request, deadline - (time.monotonic() - started))
        self._left = isinstance(outcome, Failure) and outcome.kind == "timeout"
        return outcome

    async def _begin(self) -> None:
        """
        Wait until the server has dropped abandoned requests; a caller that gets its answer then resets `_left`.

        While the slot is busy, the server defers restoring a state. If a second deferred request is abandoned as well,
        the server never answers a third one.
        """
        # The server offers no event to wait for.
        while self._left and self._session is not None and await self._is_busy(self._session):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN)
        self._left = True

    async def _is_busy(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self._address}/slots") as response:
                return any(slot["is_processing"] for slot in json.loads(await response.read()))
        except (aiohttp.ClientError, OSError):
            # The request itself will report what is wrong.
            return False

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
            return False
        try:
            async with self._session.post(f"{self._address}{path}", data=body) as response:
                await response.read()
                return response.ok
        except (aiohttp.ClientError, OSError):
            return False

    async def _call(self, session: aiohttp.ClientSession, body: bytes) -> Try:
        tried = await super()._call(session, body)
        if isinstance(tried.outcome, Failure) and tried.outcome.kind in ("connection", "server", "malformed"):
            return Try(replace(tried.outcome, kind="target"))
        return tried


def _system_prompt(request: Request) -> Request | None:
    """The part of a request that many share and that comes first: leading system messages, and tools."""
    leading = tuple(takewhile(lambda message: message.role in ("system", "developer"), request.messages))
    if not leading or len(leading) == len(request.messages) or "cache_prompt" in request.params:
        return None
    tools = {"tools": request.params["tools"]} if "tools" in request.params else {}
    alone = {**tools, "max_tokens": 1, "temperature": 0, "cache_prompt": False}
    return replace(request, messages=leading, params=alone)
