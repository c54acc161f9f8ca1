"""Blocking work beside an event loop, in a thread that holds up nothing when it is no longer waited for."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _may_cross(error: BaseException) -> bool:
    """A future refuses StopIteration, and on a loop CancelledError and KeyboardInterrupt mean something else."""
    return isinstance(error, Exception) and not isinstance(error, StopIteration)


async def in_daemon_thread(work: Callable[[], Any]) -> Any:
    """
    What `work` returns or raises; a cancelled wait leaves the thread to itself.

    Unlike `asyncio.to_thread`, nothing waits for the thread when the loop or the interpreter ends.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where it is waited for
            error = raised if _may_cross(raised) else RuntimeError(f"{type(raised).__name__}: {raised}")
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            # The loop ended before the answer came; nobody waits for it.
            return

    threading.Thread(target=run, daemon=True, name="finetune-work").start()
    return await future
