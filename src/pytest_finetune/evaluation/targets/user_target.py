"""Wraps a target that the user's hook returned, so that it never raises: its errors become failures."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.base.secret_masking import error_line, masked, masked_completion, without_keys

if TYPE_CHECKING:
    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.targets import Target


class GuardedTarget:
    """The wrapper: an exception, or a result that is not an outcome, becomes the failure of one sample."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.spec, self.model, self.base_url = target.spec, target.model, target.base_url
        self.immutable, self.free = target.immutable, target.free
        self.secret: str = getattr(target, "secret", "") or os.environ.get("OPENAI_API_KEY", "").strip()

    @property
    def identity(self) -> str:
        """The identity of the wrapped target."""
        return self._target.identity

    async def open(self) -> None:
        """
        Open the wrapped target.

        Raises:
            TargetError: The wrapped target raised.
        """
        try:
            await self._target.open()
        except BaseException as error:
            # The target is the user's, and may raise anything; anything but an Exception would end the event loop.
            if _is_cancelled(error):
                raise
            broke = without_keys(_broke("open", error), self.secret)
            raise TargetError(broke, self.spec, "fix the target that the hook returned") from error

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:
        """The wrapped target's answer, or a failure with its error."""
        try:
            outcome: Any = await self._target.ask(request, deadline)
        except BaseException as error:
            if _is_cancelled(error):
                raise
            return Failure("target", error_line(_broke("ask", error), self.secret))
        if isinstance(outcome, Completion):
            return masked_completion(outcome, self.secret)
        if isinstance(outcome, Failure):
            return replace(outcome, message=masked(outcome.message, self.secret))
        return Failure("target", f"ask returned {type(outcome).__name__}, and no Completion or Failure")

    async def close(self) -> None:
        """Close the wrapped target."""
        await self._target.close()


def _is_cancelled(error: BaseException) -> bool:
    """The evaluation itself is being cancelled, rather than the target raising CancelledError of its own accord."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _broke(what: str, error: BaseException) -> str:
    return f"{what} broke: {type(error).__name__}: {error}"
