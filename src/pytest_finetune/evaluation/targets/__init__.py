"""Targets, the models that answer requests: each returns a Completion or a Failure, and never raises for a server."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from pytest_finetune.base.records import Completion, Failure, Request
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.targets.client import ClientTarget
    from pytest_finetune.evaluation.targets.openai import OpenAITarget

__all__ = ["BatchingTarget", "ClientTarget", "OpenAITarget", "Target"]

_LATE = {
    "OpenAITarget": "pytest_finetune.evaluation.targets.openai",
    "ClientTarget": "pytest_finetune.evaluation.targets.client",
}


class Target(Protocol):
    """
    A model under test.

    Attributes:
        spec: As the user wrote it: `ft:…`, `local:NAME`, `replay:RUN`.
        model: The id that goes over the wire.
        base_url: Where it answers; empty where there is no address. Never holds credentials.
        immutable: The id always means the same weights; only then may answers be cached.
        free: It is known to cost nothing.

    A target may also have `warnings`, a tuple of texts about what does not prevent requests, and `secret`, its API key,
    which is masked in reports, and `version`, its version in the registry. One whose answers were requested earlier has
    `recorded_request`, as `ReplayTarget` does. One that is sent all requests at once is a `BatchingTarget`.
    """

    spec: str
    model: str
    base_url: str
    immutable: bool
    free: bool

    @property
    def identity(self) -> str:
        """What determines the answers: the server, or a hash of the weights."""

    async def open(self) -> None:
        """Prepare for requests, on the running event loop."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """
        One answer, within `deadline` seconds over all tries.

        Raises nothing but `asyncio.CancelledError`, whatever the server does.
        """

    async def close(self) -> None:
        """Release what `open` acquired; safe to call twice."""


@runtime_checkable
class BatchingTarget(Protocol):
    """What a target has besides `Target` if all requests are sent at once, before the first `ask`."""

    async def fetch(
        self, run: Run, requests: Sequence[Request], afford: Callable[[Sequence[Request]], Decimal | None]
    ) -> Sequence[Completion | Failure]:
        """
        The outcome of every request, which `ask` returns from then on. It may wait for a day.

        Args:
            run: Where batches are written down.
            requests: What the run lacks.
            afford: Called with the requests that will be sent; returns US dollars that they will cost approximately,
                None if the price is unknown, and raises PriceError if they cost too much.

        Raises:
            FinetuneError: The batches cannot be sent or collected; what is known of them is in the run.
        """


def __getattr__(name: str) -> Any:
    # aiohttp and openai are slow to import, and a session without a model does not need them.
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
