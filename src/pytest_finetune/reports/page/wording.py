"""Format the page's figures and links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pytest_finetune.verdicts.metrics.measure import QUANTILES

if TYPE_CHECKING:
    from pytest_finetune.verdicts.metrics import Measure, Summary

Values = dict[str, Any]
"""Values for the template."""


def link(number: int, **filters: str) -> str:
    """A link to the case list with these filters; the page's script reads the fragment."""
    return "#" + "&".join(f"{key}={quote(value, safe='')}" for key, value in {"m": str(number), **filters}.items())


def between(low: float | None, high: float | None, metric: str) -> str:
    """Both ends of an interval; empty if there is none."""
    if low is not None and high is None:
        return f"{amount(low, metric)} or more"
    return "" if low is None or high is None else f"{amount(low, metric)} to {amount(high, metric)}"


def interval_or_count(summary: Summary, measure: Measure) -> str:
    """The interval of a rate; while samples are missing, its denominator instead: `of 317 requested`."""
    if measure.value is not None and summary.requested is not summary:
        return f"of {measure.n:,} requested"
    return between(measure.interval.low, measure.interval.high, "accuracy") if measure.interval else ""


def amount(value: float, metric: str) -> str:
    """A metric's value with its unit."""
    if metric == "flips":
        return f"{value:,.0f}"
    if metric in QUANTILES:
        return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"
    if metric == "cost_per_case":
        return f"${value:.4g}"
    return f"{value:,.0f}" if metric == "tokens_per_case" else f"{value:.3f}"


def metric_name(metric: str) -> str:
    """Display name of a metric."""
    return metric.replace("_", " ").replace("f1", "F1")
