"""A model behind an official client from a user's hook: the client's authentication and transport, our retries."""

from __future__ import annotations

import inspect
import json
import time
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.daemon_thread import in_daemon_thread
from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.model_ids import names_fixed_weights
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.answers import read_http_answer
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
from pytest_finetune.evaluation.targets.request_body import PATHS, encode
from pytest_finetune.evaluation.targets.retry import Persistence, Try, retry_after

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import httpx2
    from openai import AsyncOpenAI, OpenAI

    from pytest_finetune.base.records import Request


_PLACEHOLDERS = frozenset(("", "empty", "none", "null", "dummy", "no-key", "not-needed", "sk-no-key-required"))
"""What people give a client that insists on a key, for a server that needs none."""


class ClientTarget:
    """
    Sends requests through an `openai.OpenAI`, `AsyncOpenAI` or Azure client, for ten times the CPU of `OpenAITarget`.

    The client's own retries are off for these calls. `close` closes an asynchronous client and leaves a synchronous one
    open.

    Args:
        spec: As the user wrote it; also the model id on the wire, unless `model` is given.
        client: The client. A synchronous one is called in daemon threads, so that a call which outlives its deadline
            does not block anything.
        model: The model id on the wire.
        rng: Source of the retries' jitter.

    Raises:
        TargetError: The object is not such a client, or would send a key unencrypted to another machine.
    """

    free = False

    def __init__(
        self, spec: str, client: OpenAI | AsyncOpenAI, model: str | None = None, *, rng: random.Random | None = None
    ) -> None:
        if not callable(getattr(client, "post", None)) or not hasattr(client, "base_url"):
            hint = "return an openai.OpenAI, AsyncOpenAI, AzureOpenAI or AsyncAzureOpenAI"
            raise TargetError(f"{type(client).__name__} is not a client of the openai package", spec, hint)
        self.spec, self.model = spec, spec if model is None else model
        self.base_url = _without_credentials(str(client.base_url))
        self.identity = self.base_url
        self.immutable = names_fixed_weights(self.model)
        self.client = client
        self._post: Callable[..., Any] = client.post
        self._close: Callable[..., Any] = client.close
        self.is_asynchronous = inspect.iscoroutinefunction(client.post)
        self.secret = key if isinstance(key := getattr(client, "api_key", ""), str) else ""
        if self.secret.casefold() not in _PLACEHOLDERS or getattr(client, "_api_key_provider", None):
            refuse_to_send_key(self.base_url, named=[self.base_url])
        self._persistence = Persistence(rng, remedy="check the base_url of the client, and that the server runs")

    async def open(self) -> None:
        """Nothing to open: the client is ready."""

    async def close(self) -> None:
        """Close an asynchronous client, whose connections cannot outlive the event loop."""
        if self.is_asynchronous:
            await self._close()

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """One answer, within `deadline` seconds over all tries and waits."""
        encoded = encode(request)
        if isinstance(encoded, Failure):
            return encoded
        body = json.loads(encoded)
        ends = time.monotonic() + deadline
        return await self._persistence.ask(lambda: self._call(request, body, ends - time.monotonic()), deadline)

    async def _call(self, request: Request, body: dict[str, Any], left: float) -> Try:
        """One HTTP call; nothing that the client, the server or the network does is raised."""
        import openai

        try:
            response = await self._send(PATHS[request.api], body, left)
        except openai.APIStatusError as error:
            response = error.response
        except openai.APITimeoutError:
            return Try(Failure("timeout", f"no answer from {self.base_url} in time"))
        except openai.APIConnectionError as error:
            text = f"no connection to {self.base_url}: {_reason(error)}"
            return Try(Failure("connection", error_line(text, self.secret)))
        except Exception as error:  # noqa: BLE001 - a client with its own transport or tokens may raise anything
            return Try(Failure("target", error_line(f"the client raised {type(error).__name__}: {error}", self.secret)))
        return self._read(response, request)

    def _read(self, response: httpx2.Response, request: Request) -> Try:
        status, headers, content = response.status_code, response.headers, response.content
        outcome = read_http_answer(status, headers, content, secret=self.secret, api=request.api)
        if isinstance(outcome, Completion):
            return Try(outcome)
        return Try(outcome, retry_after(response.headers, time.time()))

    async def _send(self, path: str, body: dict[str, Any], left: float) -> httpx2.Response:
        import httpx2

        def post() -> Any:
            # The client's timeout is per read; the deadline of the whole call is the caller's.
            options = {"max_retries": 0, "timeout": max(left, 0.001), "follow_redirects": False}
            return self._post(path, cast_to=httpx2.Response, body=body, options=options)

        response: httpx2.Response = await (post() if self.is_asynchronous else in_daemon_thread(post))
        return response


def _reason(error: Exception) -> str:
    """The cause behind the client's "Connection error."."""
    return str(error.__cause__ or "") or type(error.__cause__ or error).__name__


def _without_credentials(url: str) -> str:
    """The address without user, password, query and trailing slash."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}".rstrip("/")
