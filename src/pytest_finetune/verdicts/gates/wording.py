"""Figures in messages, never rounded so that they seem to be on the other side of a bar."""

from __future__ import annotations

from fractions import Fraction
from math import isinf
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.metrics.measure import QUANTILES, as_written
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.stats.power import POWER

if TYPE_CHECKING:
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats import Interval

EXACT = (*SHARES, *QUANTILES)
"""Metrics whose interval keeps its level in every case, as far as the cases are independent."""


def figure(value: Fraction | float, bar: float) -> str:
    """A value with three digits after the point, or as many as show on which side of the bar it is."""
    exact, limit = value if isinstance(value, Fraction) else as_written(value), as_written(bar)
    for digits in range(3, 12):
        text = f"{float(exact):.{digits}f}"
        shown = Fraction(text)
        if (shown > limit) == (exact > limit) and (shown < limit) == (exact < limit):
            return text
    return f"{float(exact)!r}"


def interval_text(interval: Interval | None, confidence: float, of: str = "") -> str:
    """`, 95 % interval 0.870 to 0.970`."""
    if interval is None:
        return ", no interval for so few answers"
    high = "unbounded" if isinf(interval.high) else f"{interval.high:.3f}"
    return f", {confidence * 100:g} % interval {of}{interval.low:.3f} to {high}"


def settling_text(more_cases: int | None) -> str:
    """What would settle an inconclusive verdict."""
    if more_cases is None:
        return ": too close to the bar for any practical number of cases to settle"
    return f": about {more_cases:,} more cases would settle it with a power of {POWER * 100:g} %"


def error_text(rule: Rule) -> str:
    """How often a gate with a confidence passes a model that it should not; empty for one without."""
    if rule.confidence is None:
        return ""
    share = f"{float((1 - as_written(rule.confidence)) / 2) * 100:g} %"
    limit = "at most" if rule.metric in EXACT and not rule.compares else "about"
    model = f"whose {rule.metric} is lower by {rule.bar:g}" if rule.compares else "at the bar"
    return f"{limit} {share} of models {model} would pass"
