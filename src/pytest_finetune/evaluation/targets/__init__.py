"""The outside world that answers. A target never raises for what a server does: it returns Completion or Failure."""

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
        immutable: The id names the same weights for ever; only then may answers be cached.
        free: It is known to cost nothing.

    A target may have `warnings`, a tuple of texts: what was odd but kept nobody from asking.
    And it may have `secret`, its API key, so that reports can be looked through for it.
    """

    spec: str
    model: str
    base_url: str
    immutable: bool
    free: bool

    @property
    def identity(self) -> str:
        """What makes its answers what they are: the server, or the bytes of the weights."""

    async def open(self) -> None:
        """Get ready to be asked, on the running event loop."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """
        One answer, within `deadline` seconds over all tries.

        Raises nothing but `asyncio.CancelledError`, whatever the server does.
        """

    async def close(self) -> None:
        """Let go of everything that `open` took; safe to call twice."""


def __getattr__(name: str) -> Any:
    # aiohttp and openai are heavy; a session that names no model must not pay for them.
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
