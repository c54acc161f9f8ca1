"""Sends a chat completion to the user's version, reports the outcome, and optionally retries."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_finetune.lifecycle.rollout.routing import Route


@dataclass(frozen=True, slots=True)
class Call:
    """
    One chat completion request.

    Args:
        report: Called after every request with its route, whether its answer was accepted, and its latency.
        request: The arguments of `create` except the model.
        accept: Whether an answer is acceptable; None accepts every answer.
        clock: Monotonic seconds, for the latency.
    """

    report: Callable[..., None]
    request: Mapping[str, Any]
    accept: Callable[[Any], bool] | None
    clock: Callable[[], float]

    def send(self, client: Any, first: Route, second: Route | None) -> Any:
        """
        Send the request to `first` and, if that fails or is not accepted, to `second` unless it is None.

        Raises:
            TypeError: The client is asynchronous.
        """
        if inspect.iscoroutinefunction(inspect.unwrap(client.chat.completions.create)):
            raise TypeError("use chat_async() with an async client")
        try:
            answer, accepted = self._once(client, first)
        except Exception:
            if second is None:
                raise
        else:
            if accepted or second is None:
                return answer
        return self._once(client, second)[0]

    async def send_async(self, client: Any, first: Route, second: Route | None) -> Any:
        """Like `send`, with an async client."""
        try:
            answer, accepted = await self._once_async(client, first)
        except Exception:
            if second is None:
                raise
        else:
            if accepted or second is None:
                return answer
        return (await self._once_async(client, second))[0]

    def _once(self, client: Any, route: Route) -> tuple[Any, bool]:
        started = self.clock()
        try:
            answer = _for_server(client, route).chat.completions.create(model=route.model, **self.request)
            latency = self.clock() - started
            accepted = self._accepts(answer)
        except Exception:
            self.report(route, ok=False, latency=self.clock() - started)
            raise
        self.report(route, ok=accepted, latency=latency)
        return answer, accepted

    async def _once_async(self, client: Any, route: Route) -> tuple[Any, bool]:
        started = self.clock()
        try:
            answer = await _for_server(client, route).chat.completions.create(model=route.model, **self.request)
            latency = self.clock() - started
            accepted = self._accepts(answer)
        except Exception:
            self.report(route, ok=False, latency=self.clock() - started)
            raise
        self.report(route, ok=accepted, latency=latency)
        return answer, accepted

    def _accepts(self, answer: Any) -> bool:
        return self.accept is None or bool(self.accept(answer))


def _for_server(client: Any, route: Route) -> Any:
    """
    The client, with the base URL of the version's own server if it has one.

    Raises:
        TargetError: The server must not receive the client's key.
    """
    if not route.base_url or str(client.base_url).rstrip("/") == route.base_url.rstrip("/"):
        return client
    refuse_to_send_key(route.base_url, named=[str(client.base_url)], source=f"version {route.version}")
    return client.with_options(base_url=route.base_url)
