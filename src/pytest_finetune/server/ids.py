"""Ids and timestamps of the objects that the server creates."""

from __future__ import annotations

import secrets
import string
import time

_LETTERS, _LENGTH = string.ascii_letters + string.digits, 24


def new_id(prefix: str) -> str:
    """A random id with a prefix, such as `file-8fJ…`."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def now() -> int:
    """The current Unix time in whole seconds, the API's unit of time."""
    return int(time.time())
