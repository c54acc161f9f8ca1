"""A training as a child process: it takes wishes, and does not outlive the server whatever becomes of it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ERRORS = "errors.txt"
_LAST = 2000
"""Characters of an error text that are worth showing: a traceback ends with what matters."""


class Child:
    """
    A running training.

    Args:
        process: Its process, which dies when its standard input ends.
        folder: The job's folder.
    """

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self._folder = process, folder

    @classmethod
    async def start(cls, folder: Path) -> Child:
        """Train the job of a folder."""
        command = (sys.executable, "-m", "pytest_finetune.server.trainer", str(folder), "--leash")
        # Not written by this process: the child streams to it, and it is read when the child has died.
        with (folder / _ERRORS).open("wb") as errors:
            # Ctrl-C at a terminal is for the server, which then lets the training save its state.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        return cls(process, folder)

    async def has_ended(self, patience: float) -> bool:
        """Whether it has ended, or does within so many seconds."""
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    def pause(self) -> None:
        """Wish that it saves its state after the step it is at, and ends."""
        if self._process.stdin is not None and self._process.returncode is None:
            self._process.stdin.write(b"pause\n")

    def kill(self) -> None:
        """End it now."""
        if self._process.returncode is None:
            self._process.kill()

    def last_words(self) -> str:
        """Why it ended, where it told nobody."""
        text = (self._folder / _ERRORS).read_text("utf-8", "replace").strip()
        return text[-_LAST:] or f"the training ended with exit code {self._process.returncode}"
