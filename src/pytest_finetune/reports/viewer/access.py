"""Who may use the viewer: browsers that have its random token, under an address of this machine."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


class OnlyWithToken:
    """
    Refuses requests without the token, under a foreign host name, or sent by the page of another site.

    The first address has the token; a cookie takes its place, so that it is in no later address, history or referrer.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        request = Request(scope)
        await (self._answer_of(request) or self._app)(scope, receive, send_guarded)

    def _answer_of(self, request: Request) -> ASGIApp | None:
        """The refusal, or the answer that sets the cookie; None if the request is allowed."""
        host = request.headers.get("host", "")
        # A name of another site may resolve to 127.0.0.1.
        if f"{host.rpartition(':')[0] or host}" not in _HOSTS:
            return PlainTextResponse("unknown host\n", 421)
        if request.method != "GET" and request.headers.get("origin", "") != f"http://{host}":
            return PlainTextResponse("requests of other sites are refused\n", 403)
        cookie = f"finetune-{host.rpartition(':')[2]}"
        given = request.query_params.get("token", "")
        if given and secrets.compare_digest(given.encode(), self._token.encode()):
            answer = RedirectResponse(_without_token(request), 303)
            answer.set_cookie(cookie, self._token, httponly=True, samesite="strict")
            return answer
        if secrets.compare_digest(request.cookies.get(cookie, "").encode(), self._token.encode()):
            return None
        return PlainTextResponse("open the address that `pytest-finetune view` printed\n", 403)


def _without_token(request: Request) -> str:
    # One slash: two would make the rest the name of a host.
    path = "/" + request.url.path.lstrip("/")
    others = urlsplit(str(request.url.remove_query_params("token"))).query
    return f"{path}?{others}" if others else path
