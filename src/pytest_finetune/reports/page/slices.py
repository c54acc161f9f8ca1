"""Accuracy of each eval set and its slices, drawn on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.reports.details import SLICES, slices_of
from pytest_finetune.reports.page.charts import interval_svg, scale_of
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.page.wording import interval_or_count, link, metric_name
from pytest_finetune.reports.tables import short_names
from pytest_finetune.verdicts.checks import reports_metric
from pytest_finetune.verdicts.metrics import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.reports.page.charts import Scale
    from pytest_finetune.reports.page.wording import Values
    from pytest_finetune.reports.reported import ReportedRun, ReportedSet

SLICES_SHOWN = 8
"""Slices of an eval set shown before the rest are folded."""


def accuracy_view(run: ReportedRun, number: int, *, redact: bool) -> Values:
    """Each eval set followed by its largest slices, all on one scale; smaller slices are folded."""
    names = short_names([visible(part.name) for part in run.sets])
    groups = [
        list(_accuracy_rows(part, name, number, redact=redact)) for part, name in zip(run.sets, names, strict=True)
    ]
    rows = [row for group in groups for row in group]
    scale = scale_of([row["low"] for row in rows], rate=True)
    for row in rows:
        row["chart"] = interval_svg(row["value"], (row["low"], row["high"]), scale=scale, kind=row["kind"])
    return {
        "groups": [_folded(group) for group in groups],
        "ends": _ends(scale),
        "compared": any(row["before"] for row in rows),
    }


def _folded(rows: list[Values]) -> Values:
    shown = len([row for row in rows if row["kind"] != "part"]) + SLICES_SHOWN
    return {"rows": rows[:shown], "more": rows[shown:]}


def _accuracy_rows(part: ReportedSet, short: str, number: int, *, redact: bool) -> Iterator[Values]:
    summary, name = part.summary, visible(part.name)
    yield _accuracy_row(short, summary, link(number, set=name), "whole", before=_before(part, summary))
    yield from (_accuracy_row(metric_name(metric), summary, "", "metric", metric) for metric in _metrics_of(part))
    slices = [] if part.missing_prompts else slices_of(summary.rows)
    # Metadata may contain prompt text and is not shown redacted; tags are the user's own selectors.
    shown = [entry for entry in slices if entry[0].startswith("tag=") or not redact][:SLICES]
    for label, rows in shown:
        key, _, value = visible(label).partition("=")
        filters = {"tag": value} if key == "tag" else {"meta": f"{key}={value}"}
        row = Summary(tuple(rows), summary.needed, summary.expected_label)
        title = value if key == "tag" else f"{key} {value}"
        yield _accuracy_row(title, row, link(number, set=name, **filters), "part", before=_before(part, row))


def _before(part: ReportedSet, slice_of: Summary) -> str:
    """The baseline's accuracy on these cases, whose flips are known; empty without one, and where cases repeat."""
    if part.comparison is None or part.repeats > 1 or not slice_of.rows:
        return ""
    ids = {row.case.id for row in slice_of.rows}
    flips = [flip.lost for flip in part.comparison.flips if flip.case_id in ids]
    passed = slice_of.counts[State.PASSED] + sum(flips) - (len(flips) - sum(flips))
    return f"{passed / len(slice_of.rows):.3f}"


def _metrics_of(part: ReportedSet) -> Iterator[str]:
    """Quality metrics of the eval set besides accuracy."""
    if part.summary.labels:
        yield from ("macro_f1", "weighted_f1")
    if any(score.fields for row in part.summary.rows for score in row.scores):
        yield "field_accuracy"
    for metric in ("score", "valid_rate"):
        if part.settings and reports_metric(part.settings, metric):
            yield metric


def _accuracy_row(
    name: str, summary: Summary, where: str, kind: str, metric: str = "accuracy", *, before: str = ""
) -> Values:
    measure = summary.measured(metric)
    interval = measure.interval
    return {
        "name": name,
        "link": where,
        "kind": kind,
        "value": measure.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "figure": "-" if measure.value is None else f"{measure.value:.3f}",
        "interval": interval_or_count(summary, measure),
        "n": f"{measure.n:,}",
        "before": before,
    }


def _ends(scale: Scale) -> tuple[str, ...]:
    low, high = scale
    return tuple(f"{low + (high - low) * share:.3g}" for share in (0, 0.5, 1))
