"""Figures in messages, never rounded so that they seem to be on the other side of a bar."""

from __future__ import annotations

from fractions import Fraction
from math import isinf
from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.certainty import value_alone_decides
from pytest_finetune.verdicts.metrics.measure import QUANTILES, as_written
from pytest_finetune.verdicts.metrics.shares import SHARES
from pytest_finetune.verdicts.stats.power import POWER, rate_chances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.verdicts.comparison import MetricDrop
    from pytest_finetune.verdicts.metrics import Summary
    from pytest_finetune.verdicts.rule import Rule
    from pytest_finetune.verdicts.stats import Interval

_TINY = 0.001
"""Smaller p-values are not written out."""

EXACT = (*SHARES, "recall", *QUANTILES)
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


def certainty_text(rule: Rule, n: int) -> str:
    """How often a gate over so many cases passes a model at its bar; empty if that is not known."""
    if rule.confidence is not None:
        return error_text(rule)
    if rule.kind == "max_drop":
        return "a comparison of two values, no test of non-inferiority: add confidence"
    if (
        rule.bar is None
        or rule.kind == "max_flips"
        or rule.metric not in (*SHARES, "recall")
        or not n
        or rule.bar in (0, 1)
    ):
        return ""
    reach = rule.bar if rule.upward else 1 - rule.bar
    share = rate_chances(n, reach, reach, confidence=None).passes
    return f"the value alone decides: {share * 100:.0f} % of models at the bar would pass; confidence limits that"


def value_alone_text(rule: Rule, status: str, interval: Interval | None) -> str:
    """That the value alone decided, if its interval crosses the bar; a drop without confidence is not tested at all."""
    if rule.confidence is not None:
        return ""
    ends = (None, None) if interval is None else (interval.low, interval.high)
    crosses = value_alone_decides(rule, status, *ends)
    reach = interval_text(interval, 0.95)[2:] if interval else ""
    if rule.compares:
        text = ": a comparison of two values, no test of non-inferiority"
        return f"{text}; the {reach} {'crosses the bar' if crosses else 'does not cross the bar'}" if reach else text
    return f": the value alone decides, its {reach} crosses the bar" if crosses else ""


def groups_text(summary: Summary, worth: float | None) -> str:
    """` (500 cases in 100 groups count as 143)`; empty if no case is in a group."""
    if summary.groups is None or worth is None:
        return ""
    return f" ({len(summary.rows):,} cases in {len(set(summary.groups)):,} groups count as {worth:,.0f})"


def worse_text(interval: Interval, difference: MetricDrop) -> str:
    """A drop in cases and odds: `at least 1 and at most 9 of 500 worse, 6 lost for 1 won`."""
    low, high, n = interval.low * difference.n, interval.high * difference.n, f"{difference.n:,}"
    least, most = f"{abs(low):,.0f}", f"{abs(high):,.0f}"
    if low >= 0:
        text = f"at least {least} and at most {most} of {n} worse"
    elif high <= 0:
        text = f"at least {most} and at most {least} of {n} better"
    else:
        text = f"from {least} better to {most} worse of {n}"
    return f"{text}, {float(difference.worse):g} lost for {float(difference.better):g} won"


def settling_text(more_cases: int | None, *, of: str = "") -> str:
    """What would settle an inconclusive verdict: more cases, `of` a label if only its cases count."""
    if more_cases is None:
        return ": too close to the bar for any practical number of cases to settle"
    label = f" of {of}" if of else ""
    return f": about {more_cases:,} more cases{label} would settle it with a power of {POWER * 100:g} %"


def error_text(rule: Rule) -> str:
    """How often a gate with a confidence passes a model that it should not; empty for one without."""
    if rule.confidence is None:
        return ""
    share = f"{float((1 - as_written(rule.confidence)) / 2) * 100:g} %"
    limit = "at most" if rule.metric in EXACT and not rule.compares else "about"
    model = f"whose {rule.metric} is lower by {rule.bar:g}" if rule.compares else "at the bar"
    family = f' in any gate of family = "{rule.family}"' if rule.family else ""
    return f"{limit} {share} of models {model} would pass{family}"


def family_text(p_value: float, risk: float, divisor: int, count: int) -> str:
    """At which part of its family's level a gate was tested: `; Holm's step-down over 10 gates: …`."""
    level = risk / divisor
    shown = f"< {_TINY:g}" if p_value < _TINY <= level else f"= {figure(p_value, level)}"
    share = f"{risk * 100:g} %" + (f" / {divisor} = {level * 100:.3g} %" if divisor > 1 else "")
    return f"; Holm's step-down over {count} gates: one-sided p {shown}, tested at {share}"


def untested_text(open_ones: Sequence[str]) -> str:
    """Why a slice of a hierarchy was not tested."""
    if not open_ones:
        return "not tested, because no gate over the whole set comes first: "
    return f"not tested, because {' and '.join(open_ones)} did not pass first: "
