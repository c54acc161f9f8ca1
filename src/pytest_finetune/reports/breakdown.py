"""Results by scorer and by field, of a run and against its baseline: one table for all reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.reports.redaction import hidden
from pytest_finetune.reports.text import fitted, padded
from pytest_finetune.verdicts.breakdown import field_shares, rows_with_field, scorer_shares
from pytest_finetune.verdicts.metrics.measure import Measure, exact_sum, mean_share
from pytest_finetune.verdicts.metrics.plan import groups_of
from pytest_finetune.verdicts.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from pytest_finetune.reports.reported import ReportedSet
    from pytest_finetune.reports.text import Line
    from pytest_finetune.verdicts.comparison import MetricDrop
    from pytest_finetune.verdicts.metrics import Summary

SHOWN = 20
"""Maximum number of rows shown, those that got worse first."""


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """
    How often one scorer passes the answers, or one field is right.

    Args:
        kind: `scorer` or `field`.
        name: The scorer's name, or the field's JSON path.
        measure: The mean over the cases, with its interval.
        before: The same in the baseline; None without one.
        change: How much higher it is than in the baseline; negative is worse.
        interval: Confidence interval of the change.
    """

    kind: str
    name: str
    measure: Measure
    before: float | None = None
    change: float | None = None
    interval: Interval | None = None

    @property
    def worse(self) -> bool:
        """The whole interval of the change is below 0."""
        return self.interval is not None and self.interval.high < 0

    def shown_name(self, *, redact: bool) -> str:
        """The name; redacted, a fingerprint of a path, which is made of the answers' keys."""
        return hidden(self.name) if redact and self.kind == "field" else self.name

    @property
    def change_text(self) -> str:
        """The change with its interval: `-0.250 [-0.400, -0.100]`."""
        if self.change is None or self.interval is None:
            return ""
        return f"{self.change:+z.3f} [{self.interval.low:+z.3f}, {self.interval.high:+z.3f}]"


def breakdown(part: ReportedSet) -> list[BreakdownRow]:
    """
    The scorers of a set with several, the deciding one first, then the fields of JSON answers, the worst first.

    Of an interrupted run only what was requested counts, without intervals.
    """
    comparison = part.comparison
    scorers, fields = scorer_shares(part.summary.requested.rows), field_shares(part.summary.requested.rows)
    found: list[BreakdownRow] = []
    if scorers:
        decider = part.settings.decider if part.settings else None
        before = (comparison.before, comparison.difference, comparison.confidence) if comparison else None
        name = f"{decider.title} (decides)" if decider else "the deciding scorer"
        found.append(_row("scorer", name, part.summary.measured("accuracy"), before))
    by_scorer = ("scorer", scorers, comparison.scorers if comparison else ())
    by_field = ("field", fields, comparison.fields if comparison else ())
    for kind, shares, changes in (by_scorer, by_field):
        by_name = {change.name: change for change in changes}
        rows = []
        for name, share in shares.items():
            change = by_name.get(name)
            before = (change.before, change.difference, comparison.confidence) if change and comparison else None
            rows.append(_row(kind, name, _measure(share, part.summary, name if kind == "field" else ""), before))
        found += sorted(rows, key=_worst_first)
    return found


def breakdown_lines(part: ReportedSet, width: int, *, redact: bool = False) -> Iterator[Line]:
    """The table for a terminal."""
    rows = breakdown(part)
    if rows:
        yield "  passed by scorer, fields right" if rows[0].kind == "scorer" else "  fields right", {"bold": True}
    for row in rows[:SHOWN]:
        between = row.measure.interval
        figures = f"{row.measure.value:.3f}" + (f" [{between.low:.3f}, {between.high:.3f}]" if between else "")
        name = padded(fitted(row.shown_name(redact=redact), max(24, width - 40)), 24)
        yield f"    {name}  {figures}  n={row.measure.n:,}", {"yellow": True} if row.worse else {}
    if len(rows) > SHOWN:
        yield f"    {len(rows) - SHOWN:,} more", {}


def _row(kind: str, name: str, measure: Measure, before: tuple[Fraction, MetricDrop, float] | None) -> BreakdownRow:
    if before is None:
        return BreakdownRow(kind, name, measure)
    share, difference, confidence = before
    drop = difference.interval(confidence)
    rise = -float(difference.drop)
    return BreakdownRow(kind, name, measure, float(share), rise, Interval(-drop.high, -drop.low))


def _measure(shares: Sequence[Fraction], summary: Summary, field: str) -> Measure:
    if summary.requested is not summary:
        return Measure(exact_sum(shares) / len(shares), None, len(shares))
    return mean_share(shares, groups_of(rows_with_field(summary.rows, field)) if field else summary.groups)


def _worst_first(row: BreakdownRow) -> tuple[float, float, str]:
    return row.change or 0.0, row.measure.value or 0.0, row.name
