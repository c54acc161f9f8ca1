"""Reset locks in forked workers: a lock held by a thread of the parent would never be released in the child."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """An object with its own locks or threads."""

    def after_fork(self) -> None:
        """Replace locks and forget threads; only the forking thread exists in the child."""
        ...


_INSTANCES: WeakSet[Forkable] = WeakSet()


def reset_after_fork(one: Forkable) -> None:
    """Call `after_fork` in every child that this process forks, as long as the object exists."""
    _INSTANCES.add(one)


def _reset() -> None:
    for one in tuple(_INSTANCES):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)
