"""
llama.cpp in a child process, because a request can crash it, or occupy it long after its client has gone.

A grammar with 30,000 nested parentheses overflows its stack, and the compiler of a large grammar cannot be interrupted.
In a child process both end with a signal, and the next request starts another child.

llama.cpp can switch adapters off, read files and end its process, so other programs must not reach it: it listens on a
Unix socket in a private folder, requires a random key, and allows no origin of a web page. Without Unix sockets it
listens on a free loopback port, with the same key.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TargetError

if TYPE_CHECKING:
    from pytest_finetune.evaluation.targets.weights import Weights

CONTEXT = 4096
"""Maximum tokens of a prompt and its answer together; the server refuses longer prompts."""

_PROGRAM = Path(__file__).with_name("llama_program.py")

_LONGEST_SOCKET_PATH = 100
"""Bytes; macOS allows 103 for the path of a Unix socket, Linux 107."""

_EXIT_WAIT = 10.0
"""Seconds to wait for a killed process; longer only if the system itself hangs."""

_CRASH_WAIT = 1.0
"""Seconds in which a process that closed its connections has ended."""

_LONGEST_LINE = 300
"""Characters of an error message that llama.cpp printed before it ended."""

_CRASHES = tuple(-getattr(signal, name, 0) for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"))


class LlamaProcess:
    """
    A llama.cpp server with one slot. It keeps a prompt or an answer only when asked to save it.

    It can be started again after it crashed or was killed; the key and the saved states stay. It ends when this process
    does, in whatever way.

    Args:
        weights: The files to load; a small model takes about a third of a second.
        threads: Cores to use.

    Attributes:
        model: The GGUF file of the model.
        address: Base of its URLs, once it was started. With a Unix socket the host has no meaning.
        socket_path: The Unix socket it listens on; None if it listens on a loopback port.
        key: The bearer token that it requires. No other process knows it.
        closed: It was closed, and cannot be started any more.
        crashed: The process that `end` ended had crashed; the same request would crash the next one.
    """

    def __init__(self, weights: Weights, threads: int) -> None:
        # mkdtemp makes the folder with mode 0700.
        folder = mkdtemp(prefix="pytest-finetune-")
        self._remove_folder = weakref.finalize(self, rmtree, folder, ignore_errors=True)
        self.socket_path = _socket_path(folder)
        self.key = secrets.token_urlsafe(32)
        self.address = ""
        self.closed = self.crashed = False
        self.model = weights.model.absolute()
        self._weights, self._errors = weights, Path(folder, "errors.txt")
        # Absolute paths, because the current folder may be another one when the process is started again.
        self._settings = {
            "model": str(self.model),
            "adapter": str(weights.adapter.absolute()) if weights.adapter else "",
            "name": weights.name,
            "context": CONTEXT,
            "threads": threads,
            "folder": folder,
            "socket": self.socket_path,
            "key": self.key,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """
        Load the model, unless the process runs.

        Raises:
            TargetError: The engine cannot load it, or the process was closed.
        """
        if self.pid is not None:
            return
        self.kill()
        line = b"" if self.closed else await self._load()
        if self.closed:
            raise TargetError("the model was closed", str(self._weights.model), "open it again")
        loaded = json.loads(line) if line else {"error": f"the engine {self.end()}"}
        if "error" in loaded:
            self.kill()
            raise self._cannot_be_loaded(loaded["error"])
        self.address = loaded["address"]

    async def _load(self) -> bytes:
        try:
            process = self._process = self._spawn()
        except OSError as error:
            raise self._cannot_be_loaded(f"no process can be started: {error.strerror}") from None
        try:
            return await asyncio.to_thread(process.stdout.readline) if process.stdout else b""
        except BaseException:
            self.kill()
            raise

    def _cannot_be_loaded(self, reason: str) -> TargetError:
        return TargetError(
            f"the model {self._weights.name!r} cannot be loaded: {reason}",
            str(self._weights.adapter or self._weights.model),
            "is the GGUF file complete, and an adapter made for this base model?",
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        if self.socket_path:
            Path(self.socket_path).unlink(missing_ok=True)
        with self._errors.open("wb") as errors:
            # -P: the script's folder has modules such as `openai`, which must not be found before the real ones.
            # In a session of its own, Ctrl-C at a terminal reaches only the parent, which decides what ends.
            process = subprocess.Popen(  # noqa: S603 - a fixed program
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(self._settings).encode() + b"\n")
                process.stdin.flush()
        return process

    def kill(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_EXIT_WAIT)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> str | None:
        """
        End the process after its connections broke.

        Returns:
            How it had ended before, such as `crashed (SIGSEGV)`; None if it had not.
        """
        process, code = self._process, None
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(_CRASH_WAIT)
        self.kill()
        self.crashed = code in _CRASHES
        if code is None:
            return None
        printed = self._errors.read_text("utf-8", "replace").split("\n") if self._errors.exists() else []
        last = next((line.strip() for line in reversed(printed) if line.strip()), "")
        return _how_it_ended(code) + (f": {last[:_LONGEST_LINE]}" if last else "")

    def close(self) -> None:
        """Kill the process, and remove the socket and the saved states."""
        self.closed = True
        self.kill()
        self._remove_folder()


def _how_it_ended(code: int) -> str:
    if code in _CRASHES:
        return f"crashed ({signal.Signals(-code).name})"
    return "was killed" if code < 0 else f"ended with exit code {code}"


def _socket_path(folder: str) -> str | None:
    """A path for a Unix socket, which llama.cpp recognizes by `.sock` at its end; None if none can be used."""
    path = f"{folder}/llama.sock"
    fits = len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH
    return path if fits and os.name == "posix" and hasattr(socket, "AF_UNIX") else None
