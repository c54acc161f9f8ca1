"""
The way to one llama.cpp server in this process, by which an answer is a function of its request and of nothing else.

The cases of an eval set share a system prompt, and reading it anew each time is half the work. What the server keeps of
an earlier prompt cannot be trusted: where it was cut, and in how many pieces it was read, changes the last bits of the
sums. So the system prompt is read alone, once, its state is saved, and every question starts from that very state.
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
"""System prompts whose state is kept on disk, about 23 kB a token for the small model; others are read each time."""

CLOSED = Failure("target", "the model was closed before it answered")


class Slot(OpenAITarget):
    """
    A server with one slot, for one question at a time.

    What it refuses once, it refuses always, so nothing is tried again. A request that sets `cache_prompt` itself is
    sent as it is.

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
        """One answer, within `deadline` seconds, reading the system prompt included."""
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
        Wait until the server computes nothing that nobody waits for; what begins here has to end with `_left = False`.

        A state that is to be restored while the slot still works is put off until the slot is free. Where a second
        question was put off like that and left as well, the server forgets a third one for ever.
        """
        # The server tells of no event that could be waited for.
        while self._left and self._session is not None and await self._is_busy(self._session):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN)
        self._left = True

    async def _is_busy(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self._address}/slots") as response:
                return any(slot["is_processing"] for slot in json.loads(await response.read()))
        except (aiohttp.ClientError, OSError):
            # The question itself will tell what is wrong.
            return False

    async def _read_system_prompt(self, request: Request) -> bool:
        """Bring the slot to the state after the system prompt; False where there is none, or it cannot stand alone."""
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
        """Whether the server did as told; where it did not, the question itself will tell why."""
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
    """To read no more than what comes first and is the same for many: leading system messages, and tools."""
    leading = tuple(takewhile(lambda message: message.role in ("system", "developer"), request.messages))
    if not leading or len(leading) == len(request.messages) or "cache_prompt" in request.params:
        return None
    tools = {"tools": request.params["tools"]} if "tools" in request.params else {}
    alone = {**tools, "max_tokens": 1, "temperature": 0, "cache_prompt": False}
    return replace(request, messages=leading, params=alone)
