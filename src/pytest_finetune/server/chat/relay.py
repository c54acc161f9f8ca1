"""Forwards chat requests to one llama.cpp process, and returns or streams its answers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp

from pytest_finetune.base.records import Failure, Message, Request
from pytest_finetune.base.strict_json import parse_json
from pytest_finetune.evaluation.targets.llama import LlamaProcess
from pytest_finetune.evaluation.targets.llama_slot import Slot
from pytest_finetune.evaluation.targets.request_body import encode
from pytest_finetune.server.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from pytest_finetune.evaluation.targets.weights import Weights

_CODES = {"exceed_context_size_error": "context_length_exceeded"}
_SERVER_FAULT = 500


class Relay(Slot):
    """
    A model that serves one request at a time.

    Because of `Slot`, an answer depends only on its request, and is the same as that of a `local:` target.

    Args:
        weights: The model's files, loaded by the first request.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights.name, weights.name, LlamaProcess(weights, threads=1))

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        Forward a request and return the answer.

        Raises:
            ApiError: The engine refuses the request, or crashes on it.
            TargetError: The engine cannot load the model.
        """
        with self._translated_failures():
            async with await self._send(body) as response:
                answer: dict[str, Any] = parse_json(await response.text())
        return answer

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """
        Forward a request and yield the chunks of the answer as they arrive, each the JSON of one event.

        Raises:
            ApiError: The engine refuses the request, which is raised before the first chunk, or crashes on it.
            TargetError: The engine cannot load the model.
        """
        with self._translated_failures():
            async with await self._send(body) as response:
                async for line in response.content:
                    if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                        yield line.removeprefix(b"data: ").strip()

    @contextmanager
    def _translated_failures(self) -> Iterator[None]:
        with self._ended_if_abandoned():
            try:
                yield
            except (aiohttp.ClientError, OSError) as error:
                failure = self._engine_failure(str(error))
                # The official client sends a request again after a 503, but not after a 400.
                status, kind = (400, "invalid_request_error") if self._process.crashed else (503, "server_error")
                raise ApiError(failure.message, status=status, kind=kind, code="engine_ended") from None

    async def _send(self, body: dict[str, Any]) -> aiohttp.ClientResponse:
        await self.open()
        request = self._escaped(_as_request(body))
        if await self._read_system_prompt(request):
            request = replace(request, params={**request.params, "cache_prompt": True})
        encoded = encode(request)
        if isinstance(encoded, Failure):
            raise ApiError(encoded.message, code="invalid_value")
        if self._session is None:
            raise aiohttp.ClientConnectionError
        response = await self._session.post(f"{self.base_url}/chat/completions", data=encoded)
        if not response.ok:
            async with response:
                raise _refusal(response.status, await response.text())
        return response


def _as_request(body: dict[str, Any]) -> Request:
    messages = tuple(
        Message(each["role"], each.get("content"), {k: v for k, v in each.items() if k not in ("role", "content")})
        for each in body["messages"]
    )
    # OpenAI's API treats null as absent; llama.cpp refuses some nulls, such as `tools`, which some clients send.
    params = {name: value for name, value in body.items() if name not in ("model", "messages") and value is not None}
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
