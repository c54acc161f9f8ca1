"""The limit on what an evaluation may spend: a request is sent only if it and all others in flight still fit."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from errno import ENOENT
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class _Balance:
    """US dollars spent, requests in flight, and the cost of the most expensive request; None before the first cost."""

    spent: Decimal = Decimal(0)
    in_flight: int = 0
    highest: Decimal | None = None


class Budget:
    """
    A limit in US dollars and what is spent of it.

    The cost of a request in flight is unknown, so each is assumed to cost as much as the most expensive so far.
    Until the first cost is known, requests go out one at a time.

    Args:
        limit: More than 0.
        spent: What was spent before.
    """

    def __init__(self, limit: Decimal, spent: Decimal = Decimal(0)) -> None:
        self.limit = limit
        self._balance = _Balance(spent)
        self._in_flight_here = 0
        self._settled = asyncio.Event()

    @property
    def spent(self) -> Decimal:
        """US dollars spent."""
        return self._balance.spent

    async def reserve(self) -> bool:
        """
        Reserve money for one request; False when the limit is reached.

        Raises:
            OSError: A shared balance cannot be read or written.
        """
        while self._balance.highest is None and self._in_flight_here:
            self._settled.clear()
            await self._settled.wait()
        with self._opened() as balance:
            after = balance.spent + (balance.highest or 0) * (balance.in_flight + 1)
            if balance.spent >= self.limit or after > self.limit:
                return False
            balance.in_flight += 1
            self._in_flight_here += 1
        return True

    def settle(self, cost: Decimal | None) -> None:
        """
        Replace a reservation by the actual cost; None if it is unknown.

        Raises:
            OSError: A shared balance cannot be read or written.
        """
        self._in_flight_here -= 1
        self._settled.set()
        with self._opened() as balance:
            balance.in_flight -= 1
            if cost is not None:
                balance.spent += cost
                balance.highest = max(cost, balance.highest or Decimal(0))

    @contextmanager
    def _opened(self) -> Iterator[_Balance]:
        """The balance, locked while it is changed."""
        yield self._balance


class SharedBudget(Budget):
    """
    A budget of several processes, which keep its balance in a file.

    The requests that a killed process had in flight stay reserved: rather too little is spent than too much.

    Args:
        limit: More than 0.
        path: The file. Its folder may be missing, as on another machine: then nothing can be reserved.
        spent: What was spent before, by the process that creates the file.
    """

    def __init__(self, limit: Decimal, path: Path, spent: Decimal = Decimal(0)) -> None:
        super().__init__(limit, spent)
        self._path = path

    @contextmanager
    def _opened(self) -> Iterator[_Balance]:
        from filelock import FileLock

        # FileLock would create the folder, and no other process would use the file in it.
        if not self._path.parent.is_dir():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(self._path))
        # The lock is held for two small operations; the default wait of 50 ms would stall the event loop.
        with FileLock(self._path.with_suffix(".lock"), poll_interval=0.001):
            if self._path.exists():
                spent, in_flight, highest = json.loads(self._path.read_bytes())
                self._balance = _Balance(Decimal(spent), in_flight, None if highest is None else Decimal(highest))
            yield self._balance
            self.save()

    def save(self) -> None:
        """Write the balance, before other processes know of the file."""
        spent, highest = self._balance.spent, self._balance.highest
        state = [str(spent), self._balance.in_flight, None if highest is None else str(highest)]
        self._path.write_text(json.dumps(state), "ascii")
