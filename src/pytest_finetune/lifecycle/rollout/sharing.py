"""Where a user stands in the unit interval: the same place in every process, on every machine, for ever."""

from __future__ import annotations

from hashlib import blake2b

_BITS = 53
"""What a float holds exactly, so that no position is rounded up to 1."""


class Positions:
    """
    Positions of user ids, uniform over [0, 1) and independent of each other.

    Args:
        salt: Another salt deals everybody anew.
    """

    def __init__(self, salt: str) -> None:
        self.salt = salt
        # A key has at most 64 bytes; a salt may have more.
        self._keyed = blake2b(digest_size=8, key=blake2b(_bytes(salt)).digest())

    def of(self, user_id: object) -> float:
        """The position of whoever `str(user_id)` names, so that 7 and "7" are one user."""
        keyed = self._keyed.copy()
        keyed.update(_bytes(str(user_id)))
        return (int.from_bytes(keyed.digest()) >> (64 - _BITS)) / (1 << _BITS)


def _bytes(text: str) -> bytes:
    # An id cut in the middle of a surrogate pair is still an id.
    return text.encode("utf-8", "surrogatepass")
