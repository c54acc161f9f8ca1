"""Access control and the request log."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from pytest_finetune.server.ids import new_id
from pytest_finetune.server.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN_PATH = "/health"


class Access:
    """
    ASGI middleware: checks the API key and the Host and Origin headers, logs, and gives each request an id.

    Args:
        app: The application to protect.
        key: The API key that clients must send; empty if none is needed.
        log: Called with one line per request.
    """

    def __init__(self, app: ASGIApp, key: str, log: Callable[[str], None]) -> None:
        self._app, self._key, self._log = app, key.encode(), log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = new_id("req_")
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (self._app if refusal is None else refusal.response())(scope, receive, send_with_id)
        finally:
            took = time.monotonic() - began
            self._log(f"{scope['method']} {scope['path']} {status or 'disconnected'} {took:.2f} s")

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        if scope["path"] == OPEN_PATH:
            return None
        if self._key:
            given = headers.get("authorization", "").removeprefix("Bearer ").encode()
            if not hmac.compare_digest(given, self._key):
                return ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")
            return None
        # Without a key, any web page open in a browser on this machine could send requests: from its own origin, or
        # through its own host name that resolves to this machine (DNS rebinding).
        for name in ("origin", "host"):
            value = headers.get(name, "")
            if value and _host(value) not in LOOPBACK:
                return ApiError(f"The {name} {value!r} is not this machine.", status=403, code="foreign_origin")
        return None


def _host(value: str) -> str:
    try:
        return urlsplit(value if "//" in value else f"//{value}").hostname or ""
    except ValueError:
        return ""
