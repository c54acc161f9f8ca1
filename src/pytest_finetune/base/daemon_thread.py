"""Runs blocking work in a thread that never delays the end of an event loop or of the interpreter."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pytest_finetune.base.text import described

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def _may_cross(error: BaseException) -> bool:
    """A future rejects StopIteration, and an event loop treats CancelledError and KeyboardInterrupt specially."""
    return isinstance(error, Exception) and not isinstance(error, StopIteration)


async def in_daemon_thread(work: Callable[[], _T]) -> _T:
    """
    Await what `work` returns or raises. Cancelling does not stop the thread.

    Unlike `asyncio.to_thread`, nothing waits for the thread when the loop or the interpreter ends.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        if not future.done():
            outcome()

    def run() -> None:
        try:
            outcome = partial(future.set_result, work())
        except BaseException as raised:  # noqa: BLE001 - it is raised again where it is waited for
            error = raised if _may_cross(raised) else RuntimeError(described(raised))
            outcome = partial(future.set_exception, error)
        # The loop may have ended before; then nothing waits for the result.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, daemon=True, name="finetune-work").start()
    return await future
