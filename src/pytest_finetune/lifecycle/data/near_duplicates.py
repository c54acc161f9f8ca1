"""
Finds near duplicates among many texts in about linear time, without comparing all pairs.

Each text is a set of four-byte pieces, condensed to a MinHash signature (Broder 1997). Texts with an equal band of
their signatures share a bucket. Within a bucket texts are sorted, and each is a candidate only with its next few
neighbours, so that a bucket of n texts costs O(n log n) and not O(n²). Candidates are then compared character by
character: every reported pair is a near duplicate, but a pair may be missed.
"""

from __future__ import annotations

import random
import re
import unicodedata
from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.data.libraries import needed
from pytest_finetune.verdicts.scoring.normalizers import nfkc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from numpy.typing import NDArray

SIMILARITY = 0.9
"""Default minimum similarity of near duplicates: the share of characters, in (0, 1], in common and in order."""

BANDS, ROWS = 24, 4
"""
Bands of a signature, and hashes per band.

Texts whose sets of pieces have a Jaccard similarity of s share a bucket with probability 1 - (1 - s^4)^24: 0.998 for
0.7, 0.79 for 0.5, 0.18 for 0.3.
"""

KEPT = 1000
"""Characters of a text that are kept and compared; of longer texts the signatures must agree as well."""

# Minimum share of equal hashes for a comparison. The first only saves time; the second also decides, because of long
# texts only the beginning is compared.
_LEAST_OVERLAP = 0.35
_LEAST_OVERLAP_OF_LONG = 0.7
# Next texts in a bucket that each text is compared with.
_NEIGHBOURS = 4
# Sizes of the blocks that numpy and rapidfuzz work on: large enough to be fast, small enough to fit in memory.
_PIECES_AT_ONCE = 4096
_PAIRS_AT_ONCE = 20_000
# Bytes of a piece.
_WIDTH = 4
_NO_WORD = re.compile("[^0-9a-z]+")


def normalized(text: str) -> str:
    """The text in NFKC form and lower case, without punctuation and repeated whitespace."""
    folded = nfkc(text).casefold()
    if folded.isascii():
        words = _NO_WORD.sub(" ", folded).strip()
    else:
        words = " ".join("".join(c if c.isalnum() or _is_mark(c) else " " for c in folded).split())
    # A text without letters and digits keeps its punctuation: it has nothing else to compare.
    return words or " ".join(folded.split())


class TextIndex:
    """
    An index of texts for near duplicates; texts that are equal once normalized share a number.

    Args:
        similarity: See `SIMILARITY`.

    Raises:
        DataError: numpy or rapidfuzz is not installed.
    """

    def __init__(self, similarity: float = SIMILARITY) -> None:
        self._np = needed("numpy")
        needed("rapidfuzz")
        self.similarity = similarity
        self._numbers: dict[bytes, int] = {}
        self._texts: list[str] = []
        self._long = bytearray()
        self._sides = bytearray()
        self._signatures = bytearray()
        self._parts = array("Q")
        # Python guarantees this sequence in all versions; numpy's generators may change theirs.
        draw = random.Random(20240718)  # noqa: S311 - not a secret; the same in every run
        self._factors = self._np.array([draw.getrandbits(32) | 1 for _ in range(BANDS * ROWS)], self._np.uint32)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str, side: int = 1, *, parts: bytes = b"") -> int:
        """
        Add a text and return its number, counted from 0 in the order of first occurrence.

        Args:
            text: The text, not normalized.
            side: One bit, 1 to 128, for the type of its file, such as 1 for training and 4 for eval sets.
            parts: Hash of the pictures in the prompt; texts with different pictures are not compared.
        """
        plain = normalized(text)
        encoded = plain.encode("utf-8", "surrogatepass")
        digest = blake2b(encoded + b"\0" + parts, digest_size=12).digest()
        number = self._numbers.setdefault(digest, len(self._texts))
        if number == len(self._texts):
            self._texts.append(plain[:KEPT])
            self._sides.append(0)
            self._parts.append(int.from_bytes(parts[:8]))
            self._long.append(len(plain) > KEPT)
            # Half of each hash saves half the memory. Different hashes have equal halves once in 65,536 times, which
            # only adds candidates.
            self._signatures += self._signature(encoded).astype(self._np.uint16).tobytes()
        self._sides[number] |= side
        return number

    def near_pairs(self) -> Iterator[tuple[int, int, float]]:
        """
        Yield pairs of near duplicates: the smaller number, the larger number, and their similarity.

        These are not all pairs, which could be millions, but enough to join texts into `clusters`, and for each text
        one pair with each side that has a near duplicate of it.
        """
        np, count = self._np, len(self._texts)
        signatures = np.frombuffer(self._signatures, np.uint16).reshape(-1, BANDS * ROWS)
        sides = np.frombuffer(bytes(self._sides), np.uint8)
        parts = np.array(self._parts, np.uint64)
        seen, roots = np.zeros(count, np.uint8), list(range(count))
        # Buckets are sorted by the beginnings of texts in one band and by their ends in the next, so that a change at
        # either place does not hide a pair.
        ranks = [self._ranks(1), self._ranks(-1)]
        for band in range(BANDS if count > 1 else 0):
            # Texts with different pictures never share a bucket.
            keys = _keys(np, signatures[:, band * ROWS : (band + 1) * ROWS]) ^ parts
            order = np.lexsort((ranks[band % 2], keys))
            flat = np.array([_root(roots, number) for number in range(count)])
            for left, right in _neighbours(np, order, keys[order]):
                news = (sides[right] & ~seen[left]) | (sides[left] & ~seen[right])
                useful = (flat[left] != flat[right]) | (news != 0)
                useful[useful] = self._overlap(signatures, left[useful], right[useful])
                for one, other, alike in self._compared(left[useful], right[useful]):
                    _join(roots, one, other)
                    seen[one] |= sides[other]
                    seen[other] |= sides[one]
                    yield one, other, alike

    def _compared(self, left: NDArray[Any], right: NDArray[Any]) -> Iterator[tuple[int, int, float]]:
        from rapidfuzz.distance import Indel
        from rapidfuzz.process import cpdist

        for start in range(0, len(left), _PAIRS_AT_ONCE):
            some = left[start : start + _PAIRS_AT_ONCE].tolist()
            others = right[start : start + _PAIRS_AT_ONCE].tolist()
            alike = cpdist(
                [self._texts[number] for number in some],
                [self._texts[number] for number in others],
                scorer=Indel.normalized_similarity,
                score_cutoff=self.similarity,
                workers=-1,
            )
            for at in (alike >= self.similarity).nonzero()[0].tolist():
                yield some[at], others[at], float(alike[at])

    def _signature(self, encoded: bytes) -> NDArray[Any]:
        np = self._np
        letters = np.frombuffer(encoded.ljust(_WIDTH, b"\0"), np.uint8).astype(np.uint32)
        count = len(letters) - _WIDTH + 1
        pieces = letters[:count] << np.uint32(24)
        for place in range(1, _WIDTH):
            pieces |= letters[place : place + count] << np.uint32(24 - 8 * place)
        # The mixing steps of MurmurHash3's finalizer, so that the high bits depend on all four bytes.
        pieces ^= pieces >> np.uint32(16)
        pieces *= np.uint32(0x85EBCA6B)
        pieces ^= pieces >> np.uint32(13)
        least: NDArray[Any] = np.full(BANDS * ROWS, 0xFFFFFFFF, np.uint32)
        for start in range(0, count, _PIECES_AT_ONCE):
            hashes = pieces[start : start + _PIECES_AT_ONCE, None] * self._factors
            np.minimum(least, hashes.min(axis=0), out=least)
        return least

    def _ranks(self, step: int) -> NDArray[Any]:
        """The position of each text in alphabetical order, read forwards (`step` 1) or backwards (-1)."""
        np, texts = self._np, self._texts
        ranks: NDArray[Any] = np.empty(len(texts), np.int64)
        ranks[sorted(range(len(texts)), key=lambda number: texts[number][::step])] = np.arange(len(texts))
        return ranks

    def _overlap(self, signatures: NDArray[Any], left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
        """Whether the signatures of each pair have enough equal hashes for a comparison."""
        np = self._np
        long = np.frombuffer(bytes(self._long), np.uint8)
        least = np.where(long[left] | long[right], _LEAST_OVERLAP_OF_LONG, _LEAST_OVERLAP)
        overlap: NDArray[Any] = np.empty(len(left), np.float32)
        for start in range(0, len(left), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            overlap[some] = (signatures[left[some]] == signatures[right[some]]).mean(axis=1, dtype=np.float32)
        enough: NDArray[Any] = overlap >= least
        return enough


def clusters(count: int, pairs: Iterable[tuple[int, int, float]]) -> list[int]:
    """For each of `count` texts the smallest number in its cluster: the texts connected to it by pairs."""
    roots = list(range(count))
    for left, right, _ in pairs:
        _join(roots, left, right)
    return [_root(roots, number) for number in range(count)]


def _root(roots: list[int], number: int) -> int:
    while roots[number] != number:
        roots[number] = roots[roots[number]]
        number = roots[number]
    return number


def _join(roots: list[int], left: int, right: int) -> None:
    low, high = sorted((_root(roots, left), _root(roots, right)))
    roots[high] = low


def _is_mark(character: str) -> bool:
    """Whether a character modifies the letter before it, as vowel signs do in many scripts."""
    return not character.isascii() and unicodedata.category(character)[0] == "M"


def _keys(np: ModuleType, band: NDArray[Any]) -> NDArray[Any]:
    """One bucket number per text, from one band of its signature; equal bands have equal numbers."""
    keys: NDArray[Any] = np.zeros(len(band), np.uint64)
    for column in range(band.shape[1]):
        keys = (keys ^ band[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


def _neighbours(np: ModuleType, order: NDArray[Any], keys: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Pairs within one bucket at most `_NEIGHBOURS` positions apart, as arrays of smaller and of larger numbers."""
    for apart in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
        at = (keys[apart:] == keys[:-apart]).nonzero()[0]
        one, other = order[at], order[at + apart]
        yield np.minimum(one, other), np.maximum(one, other)
