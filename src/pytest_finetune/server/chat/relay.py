"""Forwards chat requests to one llama.cpp server with one slot, and returns or streams its answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from pytest_finetune.base.records import Message, Request
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.evaluation.targets.llama import LlamaServer
from pytest_finetune.evaluation.targets.llama_slot import Slot
from pytest_finetune.evaluation.targets.request_body import encode
from pytest_finetune.server.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pytest_finetune.evaluation.targets.weights import Weights

_CODES = {"exceed_context_size_error": "context_length_exceeded"}
_SERVER_FAULT = 500


class Relay(Slot):
    """
    A loaded model that serves one request at a time.

    Through `Slot` an answer depends on its request only, and is the same as that of a `local:` target.

    Args:
        server: The llama.cpp server.
        name: The model's name.
    """

    def __init__(self, server: LlamaServer, name: str) -> None:
        super().__init__(name, name, server.address, socket_path=server.socket_path, key=server.key)
        self.name, self._server = name, server

    @classmethod
    async def start(cls, weights: Weights, threads: int) -> Relay:
        """
        Load a model.

        Raises:
            TargetError: The engine cannot load it.
        """
        loading = asyncio.create_task(asyncio.to_thread(LlamaServer, weights, threads))
        try:
            server = await asyncio.shield(loading)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: without this, nothing would own the model that it is loading, or free it.
            await asyncio.to_thread((await loading).stop)
            raise
        relay = cls(server, weights.name)
        await relay.open()
        return relay

    async def stop(self) -> None:
        """Close the connection and free the memory."""
        await self.close()
        await asyncio.to_thread(self._server.stop)

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        Forward a request and return the answer.

        Raises:
            ApiError: The engine refuses the request.
        """
        async with await self._send(body) as response:
            answer: dict[str, Any] = parse_json(await response.text())
        self._left = False
        return answer

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """
        Forward a request and yield the chunks of the answer as they arrive, each the JSON of one event.

        Raises:
            ApiError: The engine refuses the request; raised before the first chunk.
        """
        async with await self._send(body) as response:
            async for line in response.content:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    yield line.removeprefix(b"data: ").strip()
        self._left = False

    async def _send(self, body: dict[str, Any]) -> aiohttp.ClientResponse:
        await self._begin()
        request = _as_request(body)
        if await self._read_system_prompt(request):
            body = {**body, "cache_prompt": True}
        encoded = encode(_as_request(body))
        if self._session is None or not isinstance(encoded, bytes):
            raise ApiError("The request cannot be forwarded.", status=503, kind="server_error")
        try:
            response = await self._session.post(f"{self.base_url}/chat/completions", data=encoded)
        except aiohttp.ClientError as error:
            raise ApiError(f"The engine does not answer: {error}", status=503, kind="server_error") from None
        if not response.ok:
            async with response:
                refusal = _refusal(response.status, await response.text())
            self._left = False
            raise refusal
        return response


def _as_request(body: dict[str, Any]) -> Request:
    messages = tuple(
        Message(each["role"], each.get("content"), {k: v for k, v in each.items() if k not in ("role", "content")})
        for each in body["messages"]
    )
    params = {name: value for name, value in body.items() if name not in ("model", "messages")}
    return Request(body["model"], messages, params)


def _refusal(status: int, text: str) -> ApiError:
    try:
        error = parse_json(text)["error"]
        message, kind = str(error["message"]), str(error["type"])
    except (ValueError, KeyError, TypeError):
        message, kind = text[:500], ""
    if status >= _SERVER_FAULT:
        return ApiError(message, status=status, kind="server_error")
    return ApiError(message, status=status, code=_CODES.get(kind))
