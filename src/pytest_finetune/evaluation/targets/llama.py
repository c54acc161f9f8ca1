"""
One llama.cpp server inside this process: started silently, closed to other programs, stopped without hanging.

The server can switch adapters off, read files and end the process, so other programs must not reach it: it listens on a
Unix socket in a private folder, requires a random key, and allows no origin of a web page. Without Unix sockets it
listens on a free loopback port, with the same key.

Dropping the last reference to a server stops it; while a client waits for an answer this hangs forever and holds the
interpreter's lock. So a reference to each server is kept here until it is idle.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import secrets
import socket
import time
from importlib import import_module
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TargetError

if TYPE_CHECKING:
    from pytest_finetune.evaluation.targets.weights import Weights

CONTEXT = 4096
"""Maximum tokens of a prompt and its answer together; the server refuses longer prompts."""

SETTLING = 6.0
"""Seconds that a server has to notice that its requests were cancelled."""

LOOK_AGAIN = 1.2
"""Seconds between two status requests: a server checks whether a client is gone only after a second without any."""

_LONGEST_SOCKET_PATH = 100
"""Bytes; macOS allows 103 for the path of a Unix socket, Linux 107."""

_RUNNING: set[LlamaServer] = set()


@atexit.register
def _remove_folders() -> None:
    """Remove the folders of servers that were not stopped; exit handlers run in reverse order, so this runs last."""
    for server in _RUNNING:
        server.remove_folder()


class LlamaServer:
    """
    A server with one slot, which keeps no prompt or answer unless it is told to save it.

    Args:
        weights: The files to load; a small model takes about a third of a second.
        threads: Cores to use.

    Attributes:
        address: Base of its URLs. With a Unix socket the host has no meaning.
        socket_path: The Unix socket it listens on; None if it listens on a loopback port.
        key: The bearer token that it requires. It never leaves this process.

    Raises:
        TargetError: The engine cannot load it.
    """

    def __init__(self, weights: Weights, threads: int) -> None:
        # mkdtemp makes the folder with mode 0700. Not a TemporaryDirectory, which at exit would remove the socket
        # before the server is stopped.
        self._folder = mkdtemp(prefix="pytest-finetune-")
        self.socket_path = _socket_path(self._folder)
        self.key = secrets.token_urlsafe(32)
        try:
            xllamacpp = import_module("xllamacpp")
            params = _params(xllamacpp, weights, threads)
            params.slot_save_path = f"{self._folder}/"
            params.hostnames, params.port = [self.socket_path or "127.0.0.1"], 0
            params.api_keys = [self.key]
            # By default any origin may read the answers; an empty list of origins matches none.
            params.cors_origins, params.cors_credentials = "", False
            self._server: Any = xllamacpp.Server(params)
        except (ImportError, RuntimeError) as error:
            self.remove_folder()
            raise TargetError(
                f"the model {weights.name!r} cannot be loaded: {error}",
                str(weights.adapter or weights.model),
                "is the GGUF file complete, and an adapter made for this base model?",
            ) from None
        self.address = "http://localhost" if self.socket_path else str(self._server.listening_address)
        _RUNNING.add(self)

    def stop(self) -> bool:
        """
        Free the memory. Close all connections to the server first.

        Returns:
            Whether it stopped. One that is still busy after `SETTLING` seconds is left running.
        """
        patience = time.monotonic() + SETTLING
        while self._is_busy():
            if time.monotonic() > patience:
                return False
            time.sleep(LOOK_AGAIN)
        self._server = None
        self.remove_folder()
        _RUNNING.discard(self)
        return True

    def remove_folder(self) -> None:
        """Remove the socket and the saved states."""
        rmtree(self._folder, ignore_errors=True)

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """A connection to the server, which waits at most `timeout` seconds for each response."""
        if self.socket_path:
            return _UnixConnection(self.socket_path, timeout)
        return http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=timeout)

    def _is_busy(self) -> bool:
        if self._server is None:
            return False
        connection = self.connect(SETTLING)
        try:
            headers = {"Connection": "close", "Authorization": f"Bearer {self.key}"}
            connection.request("GET", "/slots", headers=headers)
            slots = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return any(slot["is_processing"] for slot in slots)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


def _socket_path(folder: str) -> str | None:
    """A path for a Unix socket, which llama.cpp recognizes by `.sock` at its end; None if none can be used."""
    path = f"{folder}/llama.sock"
    fits = len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH
    return path if fits and os.name == "posix" and hasattr(socket, "AF_UNIX") else None


def _params(xllamacpp: Any, weights: Weights, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(weights.model)
    params.model_alias = {weights.name}
    if weights.adapter is not None:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = str(weights.adapter)
        params.lora_adapters = [adapter]
    params.verbosity, params.ui = -1, False
    params.n_parallel, params.n_ctx = 1, CONTEXT
    params.cache_prompt, params.cache_ram_mib = False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return params
