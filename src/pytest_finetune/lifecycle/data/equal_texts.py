"""Finds texts that are equal once normalized, without keeping them."""

from __future__ import annotations

from hashlib import blake2b

from pytest_finetune.lifecycle.data.near_duplicates import normalized


class EqualTexts:
    """An index with the methods of `TextIndex` in which equal texts share a number and none are near duplicates."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, text: str, *, parts: bytes = b"") -> int:
        """Add a text, as `TextIndex` does, and return its number."""
        encoded = normalized(text).encode("utf-8", "surrogatepass") + b"\0" + parts
        return self._numbers.setdefault(blake2b(encoded, digest_size=12).digest(), len(self._numbers))

    def near_pairs(self) -> tuple[tuple[int, int, float], ...]:
        """Always empty: different texts are not compared."""
        return ()
