"""Maps user ids to positions in the unit interval, the same in every process and on every machine."""

from __future__ import annotations

from hashlib import blake2b

_BITS = 53
"""The bits that a float holds exactly, so that no position is rounded up to 1."""


class UserPositions:
    """
    Positions of user ids, uniform over [0, 1) and independent of each other.

    Args:
        salt: Changing it gives every user a new position.
    """

    def __init__(self, salt: str) -> None:
        self.salt = salt
        # A blake2b key has at most 64 bytes; a salt may be longer.
        self._keyed = blake2b(digest_size=8, key=blake2b(_bytes(salt)).digest())

    def of(self, user_id: object) -> float:
        """The position of the user `str(user_id)`, so that 7 and "7" are the same user."""
        keyed = self._keyed.copy()
        keyed.update(_bytes(str(user_id)))
        return (int.from_bytes(keyed.digest()) >> (64 - _BITS)) / (1 << _BITS)


def _bytes(text: str) -> bytes:
    # An id may hold half of a surrogate pair, which plain UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")
