"""One question to whoever answers this user, its outcome reported; to another once more where that was asked for."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_finetune.lifecycle.rollout.routing import Route


@dataclass(frozen=True, slots=True)
class Call:
    """
    A chat completion to be asked for.

    Args:
        report: Called with the route of every request, whether it was answered acceptably, and its latency.
        request: The arguments of `create`, but for the model.
        accept: Judges an answer; None accepts every one.
        clock: Seconds, for the latency.
    """

    report: Callable[..., None]
    request: Mapping[str, Any]
    accept: Callable[[Any], bool] | None
    clock: Callable[[], float]

    def ask(self, client: Any, first: Route, second: Route | None) -> Any:
        """
        The answer of `first`; where that fails and there is a `second`, the answer of that.

        Raises:
            TypeError: The client is an async one.
        """
        if inspect.iscoroutinefunction(inspect.unwrap(client.chat.completions.create)):
            raise TypeError("an async client is asked with chat_async()")
        try:
            answer, accepted = self._once(client, first)
        except Exception:
            if second is None:
                raise
        else:
            if accepted or second is None:
                return answer
        return self._once(client, second)[0]

    async def ask_async(self, client: Any, first: Route, second: Route | None) -> Any:
        """As `ask`, with an async client."""
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
            answer = _at_home(client, route).chat.completions.create(model=route.model, **self.request)
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
            answer = await _at_home(client, route).chat.completions.create(model=route.model, **self.request)
            latency = self.clock() - started
            accepted = self._accepts(answer)
        except Exception:
            self.report(route, ok=False, latency=self.clock() - started)
            raise
        self.report(route, ok=accepted, latency=latency)
        return answer, accepted

    def _accepts(self, answer: Any) -> bool:
        return self.accept is None or bool(self.accept(answer))


def _at_home(client: Any, route: Route) -> Any:
    """The client, turned to the version's own server where it has one."""
    if not route.base_url or str(client.base_url).rstrip("/") == route.base_url.rstrip("/"):
        return client
    return client.with_options(base_url=route.base_url)
