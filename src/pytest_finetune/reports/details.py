"""Behind the one line of an eval set: stability and drift, labels and their confusions, slices by tag and metadata."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_finetune.reports.redaction import hidden
from pytest_finetune.reports.tables import rate
from pytest_finetune.reports.text import columns, fitted, padded
from pytest_finetune.verdicts.checks import reports_metric
from pytest_finetune.verdicts.metrics import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.reports.text import Line
    from pytest_finetune.verdicts.metrics.labels import LabelTable
    from pytest_finetune.verdicts.metrics.plan import CaseSamples

SHOWN = 5
"""Drifting paths, confusions: the worst; a report holds the rest."""

SLICES = 20
"""Slices of one set; metadata that differ from case to case make no slices worth showing."""


def detail_lines(result: SetResult, width: int) -> Iterator[Line]:
    """All that a set's one line leaves out, for who asked with -v; nothing where that line says it all."""
    summary = result.summary
    lines: list[Line] = []
    if reports_metric(result.eval_set.settings, "field_accuracy"):
        lines.append((f"  field accuracy    {rate(summary, 'field_accuracy')}", {}))
    if (labels := summary.requested.labels) is not None and labels.counts:
        lines += _label_lines(labels, rate(summary, "macro_f1"), width)
    lines += _slice_lines(summary, width)
    if lines:
        yield fitted(f"{result.eval_set.name} in detail, {result.model}", width), {"bold": True}
        yield from lines


def stability_lines(result: SetResult, width: int, *, redact: bool = False) -> Iterator[Line]:
    """What asking again showed; nothing where every case was asked once."""
    summary, repeats = result.summary, result.eval_set.repeats
    if repeats == 1:
        return
    yield fitted(f"  {result.eval_set.name}, each case asked {repeats} times", width), {}
    yield f"    format stability  {rate(summary, 'format_stability')}", {}
    yield f"    valid rate        {rate(summary, 'valid_rate')}", {}
    yield f"    agreement         {rate(summary, 'agreement')}", {}
    for drift in summary.drift[:SHOWN]:
        seen = ", ".join(f"{what} {count:,}" for what, count in drift.seen.items())
        # A path is made of the answers' own keys.
        path = hidden(drift.path) if redact else drift.path
        yield fitted(f"    {path}: {drift.kind} in {_cases(len(drift.cases))} ({seen})", width), {"yellow": True}
    if len(summary.drift) > SHOWN:
        yield f"    {len(summary.drift) - SHOWN:,} more paths drift", {}


def _label_lines(table: LabelTable, macro_f1: str, width: int) -> Iterator[Line]:
    room = max(6, width - 38)
    names = [fitted(figures.label, room) for figures in table.figures]
    wide = max([6, *map(columns, names)])
    yield f"  {'label':<{wide}}  {'cases':>6}  {'precision':>9}  {'recall':>6}  {'F1':>5}", {"bold": True}
    for name, figures in zip(names, table.figures, strict=True):
        cells = (_share(figures.precision), _share(figures.recall), _share(figures.f1))
        yield f"  {padded(name, wide)}  {figures.support:>6,}  {cells[0]:>9}  {cells[1]:>6}  {cells[2]:>5}", {}
    yield f"  macro F1 {macro_f1}", {}
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
    """The larger slices first; a fact that only one case has is no slice."""
    found: defaultdict[str, list[CaseSamples]] = defaultdict(list)
    for row in rows:
        for tag in row.case.tags:
            found[f"tag={tag}"].append(row)
        for key, value in row.case.metadata.items():
            if isinstance(value, str | int | bool):
                found[f"{key}={value}"].append(row)
    several = [(name, mine) for name, mine in found.items() if len(mine) > 1]
    return sorted(several, key=lambda entry: (-len(entry[1]), entry[0]))


def _share(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.3f}"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"
