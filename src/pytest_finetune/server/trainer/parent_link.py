"""The link to the server that started a training: it sends commands on stdin, and closing that ends the training."""

from __future__ import annotations

import os
import threading
from typing import Literal

RequestedStop = Literal["paused", "cancelled"]

_COMMANDS: dict[bytes, RequestedStop] = {b"pause": "paused", b"cancel": "cancelled"}

ORPHANED = 3
"""Exit code of a training whose server is gone."""

_NICENESS = 10
"""Added to the niceness of a training, so that chat completions are computed first."""


class ParentLink:
    """Reads commands in a thread, one word per line; exits the process at once when the server is gone."""

    def __init__(self) -> None:
        self._stop: RequestedStop | None = None
        if hasattr(os, "nice"):
            os.nice(_NICENESS)
        threading.Thread(target=self._listen, daemon=True, name="parent-link").start()

    def requested_stop(self) -> RequestedStop | None:
        """The stop that the server requested; None if it requested none."""
        return self._stop

    def _listen(self) -> None:
        # os.read instead of sys.stdin: an interpreter that exits while a thread reads from sys.stdin crashes.
        while commands := os.read(0, 1024).split():
            self._stop = _COMMANDS.get(commands[-1], self._stop)
        # There is no one to report to, and the state on disk is complete at any moment.
        os._exit(ORPHANED)


def no_stop() -> RequestedStop | None:
    """Never stop: for a training without a server."""
    return None
