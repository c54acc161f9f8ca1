"""What the other processes of a session have recorded, read as it is written."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from pytest_finetune.evaluation.runs.samples import read_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.base.records import Sample

PAUSE = 0.25
"""Seconds between two looks at the record."""


class RecordedByOthers:
    """
    The new lines of a record, a few times in a second.

    Args:
        path: Its samples.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._next = path, 0, 0.0

    def new(self) -> Iterator[Sample]:
        """The samples that were added since; a line that is still being written comes later, a damaged one never."""
        if monotonic() < self._next or not self._path.exists():
            return
        self._next = monotonic() + PAUSE
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                if sample := read_line(line):
                    yield sample
