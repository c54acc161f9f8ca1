"""Targets, the models that answer requests: each returns a Completion or a Failure, and never raises for a server."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_finetune.base.records import Completion, Failure, Request
    from pytest_finetune.evaluation.targets.client import ClientTarget
    from pytest_finetune.evaluation.targets.openai import OpenAITarget

__all__ = ["ClientTarget", "OpenAITarget", "Target"]

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
    `recorded_request`, as `ReplayTarget` does.
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


def __getattr__(name: str) -> Any:
    # aiohttp and openai are slow to import, and a session without a model does not need them.
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
