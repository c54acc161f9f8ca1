"""
One llama.cpp server inside this process: started silently, closed to every other program, stopped without hanging.

The server can switch adapters off, read files and end the process, so nobody else may reach it: it listens on a Unix
socket in a private folder, asks for a random key, and allows no web page's origin. Where there are no Unix sockets it
listens on a free loopback port, with the same key.

Dropping the last reference to a server stops it, and hangs for ever, holding the interpreter's lock, as long as a
client waits for its answer. So every server is kept here until it is idle.
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
"""Tokens of one prompt and its answer together; a longer prompt is refused by the server."""

SETTLING = 6.0
"""Seconds that a server gets to notice that its requests were cancelled."""

LOOK_AGAIN = 1.2
"""Seconds. A server looks after a quiet one whether the client is still there; asking how it is breaks the quiet."""

_LONGEST_SOCKET_PATH = 100
"""Bytes; macOS allows 103 for the path of a Unix socket, Linux 107."""

_RUNNING: set[LlamaServer] = set()


@atexit.register
def _remove_folders() -> None:
    """Remove what servers that could not be stopped leave; exit handlers run in reverse order, so this comes last."""
    for server in _RUNNING:
        server.remove_folder()


class LlamaServer:
    """
    A server with one slot, which forgets a prompt and its answer unless they are saved.

    Args:
        weights: What to load; takes about a third of a second for a small model.
        threads: Cores to compute on.

    Attributes:
        address: Base of its URLs. Behind a Unix socket the host in it means nothing.
        socket_path: The Unix socket it listens on; None if it listens on a loopback port.
        key: What `Authorization: Bearer` must carry. It never leaves this process.

    Raises:
        TargetError: The engine cannot load it.
    """

    def __init__(self, weights: Weights, threads: int) -> None:
        # Only the user can enter a folder that mkdtemp makes (mode 0700). Not a TemporaryDirectory: at exit that would
        # take the socket away before the server is stopped.
        self._folder = mkdtemp(prefix="pytest-finetune-")
        self.socket_path = _socket_path(self._folder)
        self.key = secrets.token_urlsafe(32)
        try:
            xllamacpp = import_module("xllamacpp")
            params = _params(xllamacpp, weights, threads)
            params.slot_save_path = f"{self._folder}/"
            params.hostnames, params.port = [self.socket_path or "127.0.0.1"], 0
            params.api_keys = [self.key]
            # By default any origin may read the answers. An empty list of origins fits none.
            params.cors_origins, params.cors_credentials = "", False
            self._server: Any = xllamacpp.Server(params)
        except (ImportError, RuntimeError) as error:
            self.remove_folder()
            raise TargetError(
                f"the model {weights.name!r} cannot be loaded: {error}",
                str(weights.adapter or weights.model),
                "is it a whole GGUF file, and an adapter one for this very base model?",
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
        """A connection to the server, which waits `timeout` seconds at most for each answer."""
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
    """A path for a Unix socket; llama.cpp takes a host that ends in `.sock` for one. None where none can be used."""
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
