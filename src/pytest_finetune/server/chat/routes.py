"""`POST /v1/chat/completions`, whole or as server-sent events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pytest_finetune.server.wire import ApiError, read_object

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from pytest_finetune.server.chat.completions import Completions


def chat_routes(completions: Completions) -> list[Route]:
    """The one route of chat."""

    async def complete(request: Request) -> Response:
        body = await read_object(request)
        if not body.get("stream"):
            return JSONResponse(await completions.answer(body))
        chunks = completions.stream(body)
        # Awaited here, so that a refusal still has a status of its own.
        first = await anext(chunks)
        return StreamingResponse(_events(first, chunks), media_type="text/event-stream")

    return [Route("/v1/chat/completions", complete, methods=["POST"])]


async def _events(first: dict[str, Any], rest: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    try:
        yield _event(first)
        async for chunk in rest:
            yield _event(chunk)
    except ApiError as error:
        yield _event(error.body())
    finally:
        # A client that has gone must not leave its answer being computed.
        await rest.aclose()
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
