"""At which look a sequential gate was decided, as data for verdicts, records and reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.spending import Sequential  # noqa: TC001 - records hold it, and pydantic reads this

if TYPE_CHECKING:
    from typing import Final

METHODS: Final = {"obrien-fleming": "O'Brien-Fleming", "pocock": "Pocock", "e-process": "e-process"}
"""The name of each method in sentences."""


@dataclass(frozen=True, slots=True)
class LookPoint:
    """
    What a gate saw at one look.

    Args:
        n: Cases at this look.
        value: The metric, or the drop, over them, not corrected for stopping.
        passes_at: The value from which on it passes here; None if none does.
        fails_at: The value from which on it fails here; None if none does.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - as for `Rule`

    n: int
    value: float
    passes_at: float | None = None
    fails_at: float | None = None


@dataclass(frozen=True, slots=True)
class Stopping:
    """
    When a sequential gate was decided, and how it got there.

    Args:
        method: `obrien-fleming`, `pocock` or `e-process`.
        look: The look that decided, from 1; the last one if none did.
        looks: Planned looks.
        n: Cases of the gate at that look.
        planned: Cases of the gate.
        path: What it saw at each look up to that one.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - as for `Rule`

    method: Sequential
    look: int
    looks: int
    n: int
    planned: int
    path: tuple[LookPoint, ...] = ()

    @property
    def text(self) -> str:
        """`look 2 of 5, with 200 of 500 cases (O'Brien-Fleming)`."""
        where = f"look {self.look} of {self.looks}, with {self.n:,} of {self.planned:,} cases"
        return f"{where} ({METHODS[self.method]})"
