"""Any model on any OpenAI-compatible server, over aiohttp: the official client's requests at a tenth of its CPU."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.model_ids import names_fixed_weights
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.answers import MAX_BODY, read_http_answer
from pytest_finetune.evaluation.targets.base_url import check_base_url, needs_key, proxy_for
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
from pytest_finetune.evaluation.targets.request_body import PATHS, encode
from pytest_finetune.evaluation.targets.retry import Persistence, Try, retry_after

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.targets.answers import Api

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_UNAUTHORIZED, _NOT_FOUND = 401, 404
CONNECT_TIMEOUT = 15.0
"""Seconds to open a connection, within the deadline of the sample."""


class OpenAITarget:
    """
    A model behind `POST {base_url}/chat/completions`, `POST {base_url}/responses` and `POST {base_url}/embeddings`.

    Args:
        spec: As the user wrote it; also the model id on the wire, unless `model` is given.
        model: The model id on the wire.
        base_url: The server; by default `OPENAI_BASE_URL`, else OpenAI's own.
        environ: Source of `OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID` and the proxy
            variables.
        concurrency: Maximum number of connections; at least the number of requests in flight.
        rng: Source of the retries' jitter.

    Raises:
        TargetError: The base URL is not usable, OpenAI's server is meant and there is no key, or a key must not go
            to the server.
    """

    free = False
    version = ""
    """The version in the registry that a `registry:` spec named; empty for other specs."""

    def __init__(
        self,
        spec: str,
        *,
        model: str | None = None,
        base_url: str | None = None,
        environ: Mapping[str, str] = os.environ,
        concurrency: int = 32,
        rng: random.Random | None = None,
    ) -> None:
        self.spec, self.model = spec, spec if model is None else model
        self.base_url = check_base_url(base_url or environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
        self.identity = self.base_url
        self.immutable = names_fixed_weights(self.model)
        self.concurrency = concurrency
        self.secret = _key(environ, self.base_url)
        if self.secret:
            refuse_to_send_key(self.base_url, environ=environ)
        self._headers = _headers(environ, self.secret)
        self._proxy = proxy_for(self.base_url, environ)
        self._persistence = Persistence(rng, remedy="check OPENAI_BASE_URL, or --finetune-base-url, and that it runs")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Create the session; no connection is made before the first request."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            )

    def _connector(self) -> aiohttp.BaseConnector:
        return aiohttp.TCPConnector(limit=self.concurrency, keepalive_timeout=30)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """One answer, within `deadline` seconds over all tries and waits."""
        session = self._session
        if session is None:
            raise RuntimeError("ask before open")
        body = encode(request)
        if isinstance(body, Failure):
            return body
        if request.api != "chat":
            return await self._persistence.ask(lambda: self._exchange(session, body, request.api), deadline)
        return await self._persistence.ask(lambda: self._call(session, body), deadline)

    async def _call(self, session: aiohttp.ClientSession, body: bytes) -> Try:
        """One HTTP call for a chat completion."""
        return await self._exchange(session, body, "chat")

    async def _exchange(self, session: aiohttp.ClientSession, body: bytes, api: Api) -> Try:
        """One HTTP call; nothing that the server or the network does is raised."""
        url = f"{self.base_url}{PATHS[api]}"
        try:
            async with session.post(url, data=body, allow_redirects=False, proxy=self._proxy) as response:
                received = await _read(response)
                outcome = read_http_answer(response.status, response.headers, received, secret=self.secret, api=api)
                if isinstance(outcome, Completion):
                    return Try(outcome)
                return Try(self._explained(outcome), retry_after(response.headers, time.time()))
        except aiohttp.ClientHttpProxyError as error:
            return self._no_connection(f"the proxy answered HTTP {error.status}")
        except aiohttp.ClientResponseError as error:
            return Try(Failure("malformed", error_line(f"not an HTTP answer: {error.message}", self.secret)))
        except (aiohttp.ClientError, OSError) as error:
            # A connection timeout is both a ClientError and a TimeoutError; the deadline is enforced by the caller.
            return self._no_connection(_reason(error))

    def _explained(self, failure: Failure) -> Failure:
        """The failure with the cause that this target's own settings suggest."""
        if failure.status == _UNAUTHORIZED and not self.secret:
            cause = "OPENAI_API_KEY is not set"
        elif failure.status == _NOT_FOUND and not urlsplit(self.base_url).path:
            cause = f"does the base URL end with /v1, as in {self.base_url}/v1?"
        else:
            return failure
        return replace(failure, message=f"{failure.message.rstrip('.')}; {cause}")

    def _no_connection(self, reason: str) -> Try:
        return Try(Failure("connection", error_line(f"no connection to {self.base_url}: {reason}", self.secret)))


def _reason(error: aiohttp.ClientError | OSError) -> str:
    """The message of the operating system, without aiohttp's text around it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, ConnectionError) and inner.errno:
        return os.strerror(inner.errno)
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The decompressed body; reading stops once it is longer than is accepted."""
    announced = response.content_length
    if announced is not None and announced <= MAX_BODY and "content-encoding" not in response.headers:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            response.close()
            break
    return bytes(body)


def _key(environ: Mapping[str, str], base_url: str) -> str:
    key = environ.get("OPENAI_API_KEY", "").strip()
    if not key and needs_key(base_url):
        raise TargetError(
            "there is no API key for api.openai.com",
            "OPENAI_API_KEY",
            "set OPENAI_API_KEY, or choose another server with OPENAI_BASE_URL or --finetune-base-url",
        )
    return key


def _headers(environ: Mapping[str, str], key: str) -> dict[str, str]:
    """The headers of every request, as the official client sends them."""
    values = {
        "OpenAI-Organization": ("OPENAI_ORG_ID", environ.get("OPENAI_ORG_ID", "").strip()),
        "OpenAI-Project": ("OPENAI_PROJECT_ID", environ.get("OPENAI_PROJECT_ID", "").strip()),
        "Authorization": ("OPENAI_API_KEY", f"Bearer {key}" if key else ""),
    }
    for variable, value in values.values():
        if not (value.isascii() and value.isprintable()):
            raise TargetError("has characters that an HTTP header cannot contain", variable, "copy the value again")
    sent = {name: value for name, (_, value) in values.items() if value}
    return {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "pytest-finetune", **sent}
