"""Behind the one line of an eval set: stability and drift, labels and their confusions, slices by tag and metadata."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_finetune.metrics import Summary
from pytest_finetune.reports.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from pytest_finetune.evaluation import SetResult
    from pytest_finetune.metrics.labels import LabelTable
    from pytest_finetune.metrics.plan import CaseSamples
    from pytest_finetune.reports.terminal import Line

SHOWN = 5
"""Drifting paths, confusions: the worst; a report holds the rest."""

SLICES = 20
"""Slices of one set; metadata that differ from case to case make no slices worth showing."""


def detail_lines(result: SetResult) -> Iterator[Line]:
    """All that a set's one line leaves out, for who asked with -v."""
    summary = result.summary
    yield f"{result.eval_set.name} in detail, {printable(result.model)}", {"bold": True}
    if result.eval_set.scorer.name in ("json", "tool_call"):
        yield f"  field accuracy    {rate(summary, 'field_accuracy')}", {}
    if summary.labels is not None:
        yield from _label_lines(summary.labels, rate(summary, "macro_f1"))
    yield from _slice_lines(summary)


def stability_lines(result: SetResult) -> Iterator[Line]:
    """What asking again showed; nothing where every case was asked once."""
    summary, repeats = result.summary, result.eval_set.repeats
    if repeats == 1:
        return
    yield f"  {result.eval_set.name}, each case asked {repeats} times", {}
    yield f"    format stability  {rate(summary, 'format_stability')}", {}
    yield f"    valid rate        {rate(summary, 'valid_rate')}", {}
    yield f"    agreement         {rate(summary, 'agreement')}", {}
    for drift in summary.drift[:SHOWN]:
        seen = ", ".join(f"{what} {count:,}" for what, count in drift.seen.items())
        yield printable(f"    {drift.path}: {drift.kind} in {_cases(len(drift.cases))} ({seen})"), {"yellow": True}
    if len(summary.drift) > SHOWN:
        yield f"    {len(summary.drift) - SHOWN:,} more paths drift", {}


def rate(summary: Summary, metric: str) -> str:
    """A metric with its interval, three digits each; a dash for the mean of nothing."""
    measure = summary.value(metric)
    if measure.value is None:
        return "-"
    interval = measure.interval
    between = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else ""
    return f"{measure.value:.3f}{between}"


def _label_lines(table: LabelTable, macro_f1: str) -> Iterator[Line]:
    wide = max(6, *(len(label) for label in table.labels)) if table.labels else 6
    yield f"  {'label':<{wide}}  {'cases':>6}  {'precision':>9}  {'recall':>6}  {'F1':>5}", {"bold": True}
    for figures in table.figures:
        cells = (_share(figures.precision), _share(figures.recall), _share(figures.f1))
        yield f"  {figures.label:<{wide}}  {figures.support:>6,}  {cells[0]:>9}  {cells[1]:>6}  {cells[2]:>5}", {}
    yield f"  macro F1 {macro_f1}", {}
    confused = [(pair, count) for pair, count in table.counts.items() if pair[0] != pair[1] and count]
    confused.sort(key=lambda entry: (-entry[1], entry[0]))
    for (expected, answered), count in confused[:SHOWN]:
        yield printable(f"  {expected} taken for {answered}: {count:,}"), {}


def _slice_lines(summary: Summary) -> Iterator[Line]:
    slices = _slices(summary.rows)
    if slices:
        yield "  accuracy by slice", {"bold": True}
    for name, rows in slices[:SLICES]:
        part = Summary(tuple(rows), summary.needed, summary.expected_label)
        yield printable(f"    {name:<24}  {rate(part, 'accuracy')}  n={len(rows):,}"), {}


def _slices(rows: Sequence[CaseSamples]) -> list[tuple[str, list[CaseSamples]]]:
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
