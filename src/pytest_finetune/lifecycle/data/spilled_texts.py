"""The index of near duplicates for files larger than memory: texts are kept in a temporary file."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.data.near_duplicates import TextIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE = 32
"""Bytes at either end of a text that are kept in memory and determine its alphabetical position."""


class SpilledTexts:
    """An append-only list of texts in an unnamed temporary file, which the system deletes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="pytest-finetune-")  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)
        self._ends = array("Q", [0])
        self.edges = {1: bytearray(), -1: bytearray()}

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        self._file.seek(self._ends[number])
        return self._file.read(self._ends[number + 1] - self._ends[number]).decode("utf-8", "surrogatepass")

    def append(self, text: str) -> None:
        """Append a text."""
        encoded = text.encode("utf-8", "surrogatepass")
        self._file.seek(self._ends[-1])
        self._file.write(encoded)
        self._ends.append(self._ends[-1] + len(encoded))
        for step, edges in self.edges.items():
            edges.extend(encoded[::step][:EDGE].ljust(EDGE, b"\0"))


class SpilledIndex(TextIndex):
    """A `TextIndex` that needs about half a kilobyte of memory per text, whatever its length."""

    def __init__(self) -> None:
        super().__init__()
        self._spilled = SpilledTexts()
        self._texts: Any = self._spilled

    def _ranks(self, step: int) -> NDArray[Any]:
        edges = self._np.frombuffer(self._spilled.edges[step], f"S{EDGE}")
        ranks: NDArray[Any] = self._np.empty(len(edges), self._np.int64)
        ranks[edges.argsort(kind="stable")] = self._np.arange(len(edges))
        return ranks
