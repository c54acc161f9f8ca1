"""Names for what the server makes: a word for people and letters that nothing else has."""

from __future__ import annotations

import secrets
import string
import time

_LETTERS = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """An id like `file-8fJ…`."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


def now() -> int:
    """Seconds since 1970, whole, as all times on the wire."""
    return int(time.time())
