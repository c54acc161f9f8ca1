"""How many more cases would settle an inconclusive verdict."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.stats.interval import normal_deviate
from pytest_finetune.verdicts.stats.power import MOST, POWER, cases_to_show_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.verdicts.stats.interval import Interval


def more_cases_needed(
    interval_of: Callable[[float], Interval | None], planned: int, bar: float, *, confidence: float
) -> int | None:
    """
    About how many more cases would settle a gate with a power of 80 %, if the present value is the true one.

    An interval that just clears the bar on average clears it in half of all runs. For more, its distance from the bar
    has to be larger by the factor (z + z_power) / z, which takes the square of that factor times the cases.

    Args:
        interval_of: The interval with the evidence scaled by a factor: `interval_of(1)` is the present one.
        planned: Present number of cases.
        bar: The value that must end up outside the interval.
        confidence: Two-sided level of the interval.

    Returns:
        A number rounded up to two digits; None if the value is at the bar, or a million cases are not enough.

    Source: the normal approximation of power, for instance Chow, Shao and Wang, Sample Size Calculations in Clinical
    Research (2008), 3.2.
    """
    z = normal_deviate(confidence)
    factor = (z / (z + normal_deviate(2 * POWER - 1))) ** 2

    def settled(cases: int) -> bool:
        interval = interval_of(max(1.0, cases * factor) / planned)
        return interval is not None and (interval.low >= bar or interval.high < bar)

    short, enough = planned, planned
    while not settled(enough):
        short, enough = enough, enough * 2
        if enough > MOST:
            return None
    while enough - short > max(1, enough // 200):
        middle = (short + enough) // 2
        short, enough = (short, middle) if settled(middle) else (middle, enough)
    return _two_digits_up(max(1, enough - planned))


def more_cases_for_rate(rate: float, planned: int, bar: float, *, confidence: float, effect: float = 1.0) -> int | None:
    """
    About how many more cases settle a gate on a rate with a power of 80 %, if the present rate is the true one.

    The arguments and the result are those of `more_cases_needed`; the power is exact. `effect` is the number of cases
    that are worth an independent one.

    Source: that of `cases_to_show_rate`.
    """
    needed = cases_to_show_rate(bar, rate, confidence=confidence)
    return None if needed is None else _two_digits_up(max(1, ceil(needed * effect) - planned))


def _two_digits_up(count: int) -> int:
    unit = int("1".ljust(len(str(count)) - 1, "0"))
    return ceil(count / unit) * unit
