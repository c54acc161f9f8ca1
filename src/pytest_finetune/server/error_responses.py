"""The responses to requests that raised an exception, in the format of OpenAI's API."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, cast

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.server.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

# starlette calls a handler only with the class it is registered for, but types all of them alike: hence the casts.


async def _api_error(_: Request, error: Exception) -> Response:
    return cast("ApiError", error).response()


async def _finetune_error(_: Request, error: Exception) -> Response:
    return ApiError(str(error), status=503, kind="server_error").response()


async def _http_error(request: Request, error: Exception) -> Response:
    error = cast("HTTPException", error)
    message = f"Invalid URL ({request.method} {request.url.path})" if error.status_code == 404 else error.detail  # noqa: PLR2004
    return ApiError(message, status=error.status_code, code="unknown_url").response()


async def _disconnected(_: Request, __: Exception) -> Response:
    return ApiError("The request ended before its body was complete.").response()


async def _state_error(_: Request, error: Exception) -> Response:
    problem = getattr(error, "strerror", None) or error
    message = f"The server cannot read or write its state: {problem}"
    return ApiError(message, status=500, kind="server_error").response()


async def _unexpected_error(_: Request, __: Exception) -> Response:
    return ApiError(
        "The server had an error while processing your request.", status=500, kind="server_error"
    ).response()


EXCEPTION_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ApiError: _api_error,
    FinetuneError: _finetune_error,
    HTTPException: _http_error,
    ClientDisconnect: _disconnected,
    OSError: _state_error,
    sqlite3.OperationalError: _state_error,
    Exception: _unexpected_error,
}
