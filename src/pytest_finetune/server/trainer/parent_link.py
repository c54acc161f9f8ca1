"""The line to the server that started a training: wishes come on standard input, whose end is the training's end."""

from __future__ import annotations

import os
import threading
from typing import Literal

Wish = Literal["paused", "cancelled"]

_WISHES: dict[bytes, Wish] = {b"pause": "paused", b"cancel": "cancelled"}

ORPHANED = 3
"""Exit code of a training whose server is gone."""

_NICENESS = 10
"""How far answers come before training."""


class ParentLink:
    """Reads wishes in a thread, one word a line; when the other side is gone the process ends at once."""

    def __init__(self) -> None:
        self._wish: Wish | None = None
        if hasattr(os, "nice"):
            os.nice(_NICENESS)
        threading.Thread(target=self._listen, daemon=True, name="leash").start()

    def wish(self) -> Wish | None:
        """The last wish, if there was any."""
        return self._wish

    def _listen(self) -> None:
        # Not through sys.stdin: an interpreter that ends while a thread reads from it crashes.
        while words := os.read(0, 1024).split():
            self._wish = _WISHES.get(words[-1], self._wish)
        # Nobody is left to tell, and the state on disk is whole at any moment.
        os._exit(ORPHANED)


def free() -> Wish | None:
    """A training that nobody holds has no wishes."""
    return None
