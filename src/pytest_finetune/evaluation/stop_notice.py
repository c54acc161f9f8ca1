"""Stops the other processes of a session when one of them stops: the reason is left in a small file."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_finetune.base.files import write_file
from pytest_finetune.base.records import Failure

if TYPE_CHECKING:
    from pathlib import Path


class StopNotice:
    """
    The reason why one model is not evaluated any further.

    Args:
        path: The file, in a folder that all processes of the session share. Where that folder is missing, as on
            another machine, notices are neither given nor found.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def give(self, reason: Failure) -> None:
        """Leave the reason, unless another process has left one."""
        if not self._path.exists() and self._path.parent.is_dir():
            # Without the notice, each process stops when it meets the same failure itself.
            with suppress(OSError):
                write_file(self._path, json.dumps(asdict(reason)).encode())

    def find(self) -> Failure | None:
        """The reason, if a process has left one."""
        if not self._path.exists():
            return None
        try:
            return Failure(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
