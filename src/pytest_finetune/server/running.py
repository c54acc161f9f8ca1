"""The server as a process: one for each state folder, and ended by Ctrl-C with all of it on disk."""

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
"""Connections that may wait to be taken."""

_PARTING = 5
"""Seconds that answers in flight get when the server ends."""


@contextmanager
def only_server(state: Path) -> Iterator[None]:
    """
    Hold a state folder for this process alone.

    Raises:
        ServerError: Another server has it, or it cannot be written.
    """
    lock = FileLock(state / "lock")
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        hint = "stop it, or give this one a folder of its own by --state"
        raise ServerError("another server works with this folder", str(state), hint) from None
    except OSError as error:
        raise ServerError(f"the folder cannot be used: {error.strerror}", str(state), "name another --state") from None
    try:
        yield
    finally:
        lock.release()


def bind(host: str, port: int) -> socket.socket:
    """
    A listening socket.

    Raises:
        ServerError: The address is taken, or not this machine's.
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
            problem, f"{host}:{port}", "name another --host or --port; port 0 takes any free one"
        ) from None
    listener.listen(_WAITING)
    listener.set_inheritable(False)
    return listener


def run(settings: ServerSettings, listener: socket.socket, ready: Callable[[], None]) -> None:
    """
    Serve until a signal ends it; `ready` is called once it answers.

    Raises:
        ServerError: A queue broke, say because the disk is full.
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
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=_PARTING)
    # Once it has shut down, uvicorn raises again the signal that ended it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listener])
    if app.state.broken is not None:
        hint = "mend what it names and start it again: it goes on from what is on disk"
        raise ServerError(f"the server broke: {_cause(app.state.broken)}", str(settings.state), hint)


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
