"""How many more cases would settle an inconclusive verdict."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.stats.interval import Interval

MOST = 1_000_000
"""Above this number of cases, no practical number is said to settle it."""


def more_cases_needed(interval_of: Callable[[float], Interval | None], planned: int, bar: float) -> int | None:
    """
    Estimate how many more cases, with results like the present ones, would move the interval off the bar.

    Args:
        interval_of: The interval with the evidence scaled by a factor: `interval_of(1)` is the present one.
        planned: Present number of cases.
        bar: The value that must end up outside the interval.

    Returns:
        A number rounded up to two digits; None if the value is at the bar, or a million cases are not enough.
    """

    def settled(cases: int) -> bool:
        interval = interval_of(cases / planned)
        return interval is not None and (interval.low >= bar or interval.high < bar)

    short, enough = planned, planned
    while not settled(enough):
        short, enough = enough, enough * 2
        if enough > MOST:
            return None
    while enough - short > max(1, enough // 200):
        middle = (short + enough) // 2
        short, enough = (short, middle) if settled(middle) else (middle, enough)
    return _two_digits_up(enough - planned)


def _two_digits_up(count: int) -> int:
    unit = int("1".ljust(len(str(count)) - 1, "0"))
    return ceil(count / unit) * unit
