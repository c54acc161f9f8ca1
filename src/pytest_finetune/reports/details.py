"""Details of an eval set: stability and drift, labels and their confusions, slices by tag and metadata."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_finetune.reports.breakdown import breakdown_lines
from pytest_finetune.reports.redaction import hidden
from pytest_finetune.reports.tables import confidence_figures, rate
from pytest_finetune.reports.text import columns, fitted, padded
from pytest_finetune.verdicts.metrics import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from pytest_finetune.reports.reported import ReportedSet
    from pytest_finetune.reports.text import Line
    from pytest_finetune.verdicts.metrics.labels import LabelTable
    from pytest_finetune.verdicts.metrics.plan import CaseSamples

SHOWN = 5
"""Maximum number of drifting paths and of confusions shown, the worst first; the page has all of them."""

SLICES = 20
"""Maximum number of slices shown per set."""


def detail_lines(part: ReportedSet, model: str, width: int, *, redact: bool = False) -> Iterator[Line]:
    """With `-v`: score, field accuracy, labels, confidence and slices of a set; nothing if it has none of them."""
    summary = part.summary
    lines: list[Line] = []
    if part.reports("score"):
        lines.append((f"  score             {rate(summary, 'score')}", {}))
    if part.reports("field_accuracy"):
        lines.append((f"  field accuracy    {rate(summary, 'field_accuracy')}", {}))
    if (labels := summary.requested.labels) is not None and labels.counts:
        lines += _label_lines(labels, summary, width)
    lines += [(fitted(f"  {name} {value}", width), {}) for name, value in confidence_figures(summary)]
    lines += breakdown_lines(part, width, redact=redact)
    lines += _slice_lines(summary, width)
    if lines:
        yield fitted(f"{part.name} in detail, {model}", width), {"bold": True}
        yield from lines


def stability_lines(part: ReportedSet, width: int, *, redact: bool = False) -> Iterator[Line]:
    """How similar the attempts at each case are; no lines for a set with one attempt per case."""
    summary = part.summary
    if part.repeats == 1:
        return
    yield fitted(f"  {part.name}, {part.repeats} attempts per case", width), {}
    yield f"    format stability  {rate(summary, 'format_stability')}", {}
    yield f"    valid rate        {rate(summary, 'valid_rate')}", {}
    yield f"    agreement         {rate(summary, 'agreement')}", {}
    for drift in summary.drift[:SHOWN]:
        seen = ", ".join(f"{what} {count:,}" for what, count in drift.seen.items())
        # A path consists of keys that the answers contain, so it is untrusted.
        path = hidden(drift.path) if redact else drift.path
        yield fitted(f"    {path}: {drift.kind} in {_cases(len(drift.cases))} ({seen})", width), {"yellow": True}
    if len(summary.drift) > SHOWN:
        yield f"    {len(summary.drift) - SHOWN:,} more paths drift", {}


def _label_lines(table: LabelTable, summary: Summary, width: int) -> Iterator[Line]:
    room = max(6, width - 38)
    names = [fitted(figures.label, room) for figures in table.figures]
    wide = max([6, *map(columns, names)])
    yield f"  {'label':<{wide}}  {'cases':>6}  {'precision':>9}  {'recall':>6}  {'F1':>5}", {"bold": True}
    for name, figures in zip(names, table.figures, strict=True):
        cells = (_share(figures.precision), _share(figures.recall), _share(figures.f1))
        yield f"  {padded(name, wide)}  {figures.support:>6,}  {cells[0]:>9}  {cells[1]:>6}  {cells[2]:>5}", {}
    yield f"  macro F1 {rate(summary, 'macro_f1')}", {}
    yield f"  weighted F1 {rate(summary, 'weighted_f1')}", {}
    confused = [(pair, count) for pair, count in table.counts.items() if pair[0] != pair[1] and count]
    confused.sort(key=lambda entry: (-entry[1], entry[0]))
    for (expected, answered), count in confused[:SHOWN]:
        yield fitted(f"  {expected} taken for {answered}: {count:,}", width), {}


def _slice_lines(summary: Summary, width: int) -> Iterator[Line]:
    slices = slices_of(summary.rows)
    if slices:
        yield "  accuracy by slice", {"bold": True}
    for name, rows in slices[:SLICES]:
        part = Summary(tuple(rows), summary.needed, summary.expected_label)
        yield f"    {padded(fitted(name, max(24, width - 40)), 24)}  {rate(part, 'accuracy')}  n={len(rows):,}", {}


def slices_of(rows: Sequence[CaseSamples]) -> list[tuple[str, list[CaseSamples]]]:
    """Cases by tag and by metadata, the largest slice first; a value that only one case has is not a slice."""
    found: defaultdict[str, list[CaseSamples]] = defaultdict(list)
    for row in rows:
        for tag in row.case.tags:
            found[f"tag={tag}"].append(row)
        for key, value in row.case.metadata.items():
            if isinstance(value, str | int | bool):
                found[f"{key}={value}"].append(row)
    several = [(name, rows) for name, rows in found.items() if len(rows) > 1]
    return sorted(several, key=lambda entry: (-len(entry[1]), entry[0]))


def _share(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.3f}"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"
