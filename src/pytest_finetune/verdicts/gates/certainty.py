"""Whether a gate's verdict rests on its value alone, although the interval of the value crosses the bar."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_finetune.verdicts.rule import Rule

_DECIDED = ("pass", "fail")


def value_alone_decides(rule: Rule | None, status: str, low: float | None, high: float | None) -> bool:
    """
    Whether a gate passed or failed on its value, while values on the other side of the bar are likely too.

    Args:
        rule: The gate; None if it is not known.
        status: Its verdict.
        low: Lower end of the interval of its value; None without an interval.
        high: Upper end; None if there is none.
    """
    if rule is None or rule.bar is None or rule.confidence is not None or rule.kind in ("max_flips", "must_pass"):
        return False
    if status not in _DECIDED or low is None:
        return False
    top = inf if high is None else high
    # As in `status_of`: a lower end at the bar of a `min` is on the good side, an upper end at it not on the bad one.
    return low < rule.bar <= top if rule.upward else low <= rule.bar < top
