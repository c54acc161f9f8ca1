"""Run the server as a process: one per state folder, stopped by Ctrl-C with its state on disk."""

from __future__ import annotations

import signal
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pytest_finetune.base.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_finetune.server.app import ServerSettings

_WAITING = 128
"""Connections that may wait to be accepted."""

_SHUTDOWN_GRACE = 5
"""Seconds that requests in flight have to finish when the server stops."""


@contextmanager
def only_server(state: Path) -> Iterator[None]:
    """
    Lock a state folder for this process.

    Raises:
        ServerError: Another server holds the lock, or the folder cannot be written.
    """
    lock = FileLock(state / "lock")
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        hint = "stop it, or choose another folder with --state"
        raise ServerError("another server uses this folder", str(state), hint) from None
    except OSError as error:
        raise ServerError(
            f"the folder cannot be used: {error.strerror}", str(state), "choose another folder with --state"
        ) from None
    try:
        yield
    finally:
        lock.release()


def bind(host: str, port: int) -> socket.socket:
    """
    Open a listening socket.

    Raises:
        ServerError: The address is in use, or does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        problem = f"cannot listen: {error.strerror}"
        raise ServerError(
            problem, f"{host}:{port}", "choose another --host or --port; port 0 picks a free one"
        ) from None
    listener.listen(_WAITING)
    listener.set_inheritable(False)
    return listener


def run(settings: ServerSettings, listener: socket.socket, ready: Callable[[], None]) -> None:
    """
    Serve until a signal arrives; `ready` is called once the server answers requests.

    Raises:
        ServerError: A queue failed, for example because the disk is full.
    """
    import uvicorn

    from pytest_finetune.server.app import make_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    app = make_app(settings)
    app.state.broken = None
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=_SHUTDOWN_GRACE
    )
    # After its shutdown, uvicorn raises the signal again that stopped it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listener])
    if app.state.broken is not None:
        hint = "fix the cause and start the server again; it resumes from the state on disk"
        raise ServerError(f"the server stopped: {_cause(app.state.broken)}", str(settings.state), hint)


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
