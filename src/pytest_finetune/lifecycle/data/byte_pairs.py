"""Byte-pair encoding with the vocabulary of a GGUF file, as Hugging Face's tokenizers do it."""

from __future__ import annotations

from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from pytest_finetune.lifecycle.data.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPLITS: Mapping[str, str] = {"gpt-2": _GPT2, "smollm": _GPT2}
"""
Patterns of the words within which pairs are merged, by their name in GGUF files.

llama.cpp splits the digits of `smollm` first. That makes no difference: no merge of its vocabulary has a digit.
"""

_CACHED = 100_000


class _Words(Protocol):
    def findall(self, text: str) -> list[str]: ...


class BytePairs:
    """
    A vocabulary of byte pairs.

    Args:
        tokens: All tokens; bytes without a token are dropped, as the trainer's tokenizer drops them.
        merges: Pairs, separated by a space, the earliest merged first.
        split: A name in `SPLITS`.
    """

    def __init__(self, tokens: Iterable[str], merges: Iterable[str], split: str) -> None:
        single = {token for token in tokens if len(token) == 1}
        self._bytes = {byte: token for byte, token in enumerate(_BYTES) if token in single}
        pairs = (merge.partition(" ") for merge in merges)
        self._ranks = {(left, right): rank for rank, (left, _, right) in enumerate(pairs)}
        self._words: _Words = needed("regex").compile(SPLITS[split])
        self._merged = lru_cache(_CACHED)(self._merge)

    def encode_ordinary(self, text: str) -> list[str]:
        """The tokens of a text, as their bytes are written in the vocabulary; a lone surrogate is one character."""
        words = self._words.findall(text)
        return [token for word in words for token in self._merged(word)]

    def _merge(self, word: str) -> tuple[str, ...]:
        # A linked list of parts, and a heap of the pairs to merge: n log n, because a word may be as long as a text.
        parts = [self._bytes[byte] for byte in word.encode(errors="replace") if byte in self._bytes]
        following = [*range(1, len(parts)), -1]
        preceding = [*range(-1, len(parts) - 1)]
        ranks = ((self._rank(*pair), at) for at, pair in enumerate(pairwise(parts)))
        heap = [(rank, at) for rank, at in ranks if rank is not None]
        heapify(heap)
        while heap:
            rank, at = heappop(heap)
            after = following[at]
            if not parts[at] or after < 0 or self._rank(parts[at], parts[after]) != rank:
                continue
            parts[at] += parts[after]
            parts[after] = ""
            following[at] = following[after]
            if following[at] >= 0:
                preceding[following[at]] = at
            for left, right in ((preceding[at], at), (at, following[at])):
                if left >= 0 <= right and (new := self._rank(parts[left], parts[right])) is not None:
                    heappush(heap, (new, left))
        return tuple(part for part in parts if part)

    def _rank(self, left: str, right: str) -> int | None:
        return self._ranks.get((left, right))


def _byte_characters() -> tuple[str, ...]:
    """The character for each byte, as GPT-2 defined it: printable bytes stand for themselves."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return tuple(chr(byte) if byte in printable else chr(next(others)) for byte in range(256))


_BYTES = _byte_characters()
