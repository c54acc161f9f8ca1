"""A training in a child process, which can be paused or cancelled and never outlives the server."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ERRORS = "errors.txt"
_LAST = 2000
"""Characters shown of an error text: the end of a traceback has the error itself."""


class Child:
    """
    A running training.

    Args:
        process: Its process, which exits when its standard input is closed.
        folder: The job's folder.
    """

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self._folder = process, folder

    @classmethod
    async def start(cls, folder: Path) -> Child:
        """Start a process that trains the job of a folder."""
        command = (sys.executable, "-m", "pytest_finetune.server.trainer", str(folder), "--leash")
        # The child writes its standard error to this file, which is read after it has exited.
        with (folder / _ERRORS).open("wb") as errors:
            # Ctrl-C at a terminal must reach only the server, which then pauses the training, which saves its state.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        return cls(process, folder)

    async def has_ended(self, patience: float) -> bool:
        """Wait at most `patience` seconds; returns whether the process has exited."""
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    def pause(self) -> None:
        """Tell the process to save its state after the current step, and exit."""
        if self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.write(b"pause\n")

    def kill(self) -> None:
        """Kill the process."""
        if self._process.returncode is None:
            self._process.kill()

    def failure_reason(self) -> str:
        """Why the process exited without reporting a result."""
        text = (self._folder / _ERRORS).read_text("utf-8", "replace").strip()
        return text[-_LAST:] or f"the training ended with exit code {self._process.returncode}"
