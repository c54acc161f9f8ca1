"""Which tokens make up a text."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Pieces = tuple[tuple[str, float], ...]
"""Parts of a text, each with its log probability."""


def pieces_of(text: str, pieces: Sequence[tuple[str, float]]) -> Pieces:
    """
    The pieces that the text's characters lie in, without white space around it; empty if they do not contain it.

    Where the text occurs more than once, the last occurrence counts: reasoning comes before the answer.
    """
    wanted, whole = text.strip(), "".join(piece for piece, _ in pieces)
    start = whole.rfind(wanted) if wanted else -1
    if start < 0:
        return ()
    ends = list(accumulate(len(piece) for piece, _ in pieces))
    first, last = bisect_right(ends, start), bisect_left(ends, start + len(wanted))
    return tuple(pieces[first : last + 1])
