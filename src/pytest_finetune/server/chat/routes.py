"""The route `POST /v1/chat/completions`; it answers with JSON or with server-sent events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pytest_finetune.server.wire import ApiError, read_json_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable

    from starlette.requests import Request

    from pytest_finetune.server.chat.completions import Completions


T = TypeVar("T")


def chat_routes(completions: Completions) -> list[Route]:
    """The route for chat completions."""

    async def complete(request: Request) -> Response:
        body = await read_json_body(request)
        if not body.get("stream"):
            return JSONResponse(await _while_connected(request, completions.answer(body)))
        chunks = completions.stream(body)
        # The first chunk is awaited before the response starts, so that a refusal can still set the HTTP status.
        first = await _while_connected(request, anext(chunks))
        return StreamingResponse(_events(first, chunks), media_type="text/event-stream")

    return [Route("/v1/chat/completions", complete, methods=["POST"])]


async def _while_connected(request: Request, answering: Awaitable[T]) -> T:
    """
    Await the answer, and cancel it if the client disconnects.

    Raises:
        ClientDisconnect: The client has disconnected.
    """
    answer = asyncio.ensure_future(answering)
    disconnect = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((answer, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        disconnect.cancel()
        await asyncio.gather(answer, disconnect, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    """Return when the client has disconnected; its request must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(first: dict[str, Any], rest: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    try:
        yield _event(first)
        async for chunk in rest:
            yield _event(chunk)
    except ApiError as error:
        yield _event(error.body())
    finally:
        # If the client disconnects, stop computing its answer.
        await rest.aclose()
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
