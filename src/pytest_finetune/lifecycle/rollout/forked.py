"""What a forked worker begins with: no lock that a thread of the parent held, for nobody in the child would free it."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something with locks or threads of its own."""

    def after_fork(self) -> None:
        """Begin anew in the child; only the thread that forked is there."""
        ...


_LIVING: WeakSet[Forkable] = WeakSet()


def renew_in_children(one: Forkable) -> None:
    """Have `after_fork` called in every child that this process forks, for as long as the object lives."""
    _LIVING.add(one)


def _renew() -> None:
    for one in tuple(_LIVING):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
