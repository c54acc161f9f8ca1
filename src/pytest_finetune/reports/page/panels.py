"""Data of the panels about problems: confusions, format failures, flips, drift. Each figure links to its cases."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.reports.breakdown import breakdown
from pytest_finetune.reports.page.cases import drift_name
from pytest_finetune.reports.page.charts import interval_svg, scale_of
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.page.wording import interval_or_count, link, metric_name
from pytest_finetune.verdicts.metrics.labels import LabelTable

if TYPE_CHECKING:
    from fractions import Fraction

    from pytest_finetune.reports.breakdown import BreakdownRow
    from pytest_finetune.reports.page.charts import Scale
    from pytest_finetune.reports.page.wording import Values
    from pytest_finetune.reports.reported import ReportedSet
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.metrics import Measure, Summary
    from pytest_finetune.verdicts.metrics.drift import Drift

MOST_LABELS = 30
"""With more labels than this the page lists the most frequent confusions instead of a matrix."""

CONFUSIONS = 15
DRIFTS = 12
SHADES = 8


def matrix_view(
    table: LabelTable, before: LabelTable | None, number: int, eval_set: str, *, linked: bool
) -> Values | None:
    """
    The confusion matrix, with what changed since the baseline's; None if it has too many labels to be readable.

    Args:
        table: The matrix.
        before: The baseline's; None without one.
        number: Of the model on the page.
        eval_set: Name of the eval set.
        linked: Cells lead to their cases.
    """
    earlier = before.counts if before else {}
    # Answers that only the baseline gave have a column, too.
    both = LabelTable({pair: table.counts.get(pair, 0) for pair in (*table.counts, *earlier)})
    if len(both.labels) > MOST_LABELS:
        return None
    rows = []
    for expected in both.labels:
        counts = {got: both.counts.get((expected, got), 0) for got in both.columns}
        if support := sum(counts.values()):
            cells = [_cell(count, support, expected == got) for got, count in counts.items()]
            for got, cell in zip(counts, cells, strict=True):
                if linked and cell["count"]:
                    cell["link"] = link(number, set=eval_set, label=visible(expected), got=visible(got))
                if before and (change := cell["count"] - earlier.get((expected, got), 0)):
                    cell["change"] = f"{change:+,}".replace("-", "−")
            right = f"{earlier.get((expected, expected), 0):,}" if before else ""
            rows.append({"label": visible(expected), "support": support, "cells": cells, "before": right})
    return {"columns": [visible(column) for column in both.columns], "rows": rows, "compared": before is not None}


def _cell(count: int, support: int, right: bool) -> Values:  # noqa: FBT001 - a private function of three values
    # Any count above 0 is shaded, so that a rare confusion does not look like none.
    shade = 0 if not count else max(1, round(count / support * SHADES))
    return {"count": count, "right": right, "shade": shade, "link": "", "change": ""}


def labels_view(table: LabelTable, before: LabelTable | None) -> list[Values]:
    """Precision, recall and F1 of each label, and the baseline's F1."""
    earlier = {figures.label: figures.f1 for figures in before.figures} if before else {}
    return [
        {
            "label": visible(figures.label),
            "support": f"{figures.support:,}",
            "figures": [_share(share) for share in (figures.precision, figures.recall, figures.f1)],
            "before": _share(earlier.get(figures.label)) if before else "",
        }
        for figures in table.figures
    ]


def _share(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.3f}"


def confusions_view(
    table: LabelTable, before: LabelTable | None, number: int, eval_set: str, *, linked: bool
) -> list[Values]:
    """Which labels are confused with which, most frequent first, and how often the baseline confused them."""
    wrong = [(expected, got, count) for (expected, got), count in table.counts.items() if expected != got and count]
    most_frequent = sorted(wrong, key=lambda entry: (-entry[2], entry[0], entry[1]))[:CONFUSIONS]
    return [
        {
            "expected": visible(expected),
            "got": visible(got),
            "count": f"{count:,}",
            "before": f"{before.counts.get((expected, got), 0):,}" if before else "",
            "link": link(number, set=eval_set, label=visible(expected), got=visible(got)) if linked else "",
        }
        for expected, got, count in most_frequent
    ]


def failures_view(summary: Summary, number: int, eval_set: str, *, paths: bool) -> list[Values]:
    """Format failures by kind and, if `paths`, by JSON path; most frequent first."""
    found = Counter(
        (str(score.format_failure), visible(score.path) if paths else "")
        for row in summary.rows
        for score in row.scores
        if score.format_failure
    )
    most = max(found.values(), default=1)
    return [
        {
            "kind": kind,
            "path": path,
            "count": f"{count:,}",
            "share": max(1, round(count / most * 100)),
            "link": link(number, set=eval_set, kind=kind, **({"path": path} if path else {})),
        }
        for (kind, path), count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]


def comparison_view(part: ReportedSet, found: Comparison, number: int) -> Values:
    """The change in accuracy since the baseline, and how many cases were lost and won."""
    name = visible(part.name)
    change = -float(found.difference.drop)
    low, high = -found.interval.high, -found.interval.low
    reach = max(abs(low), abs(high), abs(change), 0.01)
    kind = "fail" if found.worse else "whole"
    return {
        "baseline": visible(part.baseline),
        "before": f"{float(found.before):.3f}",
        "after": f"{float(found.after):.3f}",
        "change": f"{change:+z.3f}",
        "interval": f"{low:+z.3f} to {high:+z.3f}",
        "chart": interval_svg(change, (low, high), scale=(-reach, reach), bar=0.0, kind=kind),
        "ends": (f"−{reach:.3f}", f"+{reach:.3f}"),
        "worse": found.worse,
        "p": "< 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}",  # noqa: PLR2004 - three digits
        "test": found.test,
        "grouping": found.grouping,
        "lost": len(found.lost),
        "won": len(found.won),
        "lost_link": link(number, set=name, flip="lost"),
        "won_link": link(number, set=name, flip="won"),
        "notes": [visible(note) for note in part.notes],
    }


def breakdown_view(part: ReportedSet, *, redact: bool) -> Values:
    """Results by scorer and by field, with their changes since the baseline."""
    rows = breakdown(part)
    scale = scale_of([row.measure.interval.low for row in rows if row.measure.interval], rate=True)
    return {
        "baseline": visible(part.baseline) if part.comparison else "",
        "rows": [_breakdown_row(row, part.summary, scale, redact=redact) for row in rows],
    }


def _breakdown_row(row: BreakdownRow, summary: Summary, scale: Scale, *, redact: bool) -> Values:
    return {
        **_measure(visible(row.shown_name(redact=redact)), summary, row.measure, scale),
        "kind": row.kind,
        "n": f"{row.measure.n:,}",
        "before": "" if row.before is None else f"{row.before:.3f}",
        "change": row.change_text,
        "worse": row.worse,
    }


def stability_view(part: ReportedSet, number: int, *, paths: bool) -> Values:
    """Agreement between the samples of a case, and the JSON paths that drift."""
    summary = part.summary
    measures = {metric: summary.measured(metric) for metric in ("format_stability", "valid_rate", "agreement")}
    scale = scale_of([m.interval.low for m in measures.values() if m.interval], rate=True)
    rows = [_measure(metric_name(metric), summary, measure, scale) for metric, measure in measures.items()]
    drifts = part.summary.drift if paths else ()
    return {
        "rows": rows,
        "drift": [_drift(drift, visible(part.name), number) for drift in drifts[:DRIFTS]],
        "more": max(0, len(drifts) - DRIFTS),
        "hidden": not paths,
    }


def _measure(name: str, summary: Summary, measure: Measure, scale: Scale) -> Values:
    ends = (measure.interval.low, measure.interval.high) if measure.interval else (None, None)
    return {
        "name": name,
        "figure": "-" if measure.value is None else f"{measure.value:.3f}",
        "interval": interval_or_count(summary, measure),
        "chart": interval_svg(measure.value, ends, scale=scale, kind="whole"),
    }


def _drift(drift: Drift, eval_set: str, number: int) -> Values:
    return {
        "path": visible(drift.path),
        "kind": str(drift.kind),
        "cases": f"{len(drift.cases):,}",
        "seen": visible(", ".join(f"{what} {count:,}" for what, count in drift.seen.items())),
        "link": link(number, set=eval_set, drift=visible(drift_name(drift))),
    }
