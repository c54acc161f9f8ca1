"""Texts that are equal once normalized, found without keeping them."""

from __future__ import annotations

from hashlib import blake2b

from pytest_finetune.lifecycle.data.near_duplicates import normalized


class EqualTexts:
    """Texts that are added one by one; equal ones share a number."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, text: str) -> int:
        """The number of a text, counted from 0 in the order in which texts were first met."""
        encoded = normalized(text).encode("utf-8", "surrogatepass")
        return self._numbers.setdefault(blake2b(encoded, digest_size=12).digest(), len(self._numbers))

    def near_pairs(self) -> tuple[tuple[int, int, float], ...]:
        """None: different texts are not compared."""
        return ()
