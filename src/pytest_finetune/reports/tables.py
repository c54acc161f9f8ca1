"""The tables of the closing section: eval sets with their figures, gates with their verdicts, models side by side."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.reports.text import columns, dollars, fitted, folded, padded
from pytest_finetune.verdicts.checks import reports_metric
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.reports.text import Line
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.metrics import Summary

STATUS_MARKUP = {
    Status.PASS: {"green": True},
    Status.FAIL: {"red": True},
    Status.INCONCLUSIVE: {"yellow": True},
    Status.INCOMPLETE: {"yellow": True},
}
_INDENT = 16
_GAP = "  "


class _Figure(NamedTuple):
    """A column of the table of sets: the least width keeps tables of several sessions alike."""

    name: str
    least: int
    right: bool
    rank: int


# Where the terminal is narrow, the column of the highest rank goes first.
_FIGURES = (
    _Figure("accuracy", 20, right=False, rank=0),
    _Figure("valid", 5, right=True, rank=2),
    _Figure("errors", 3, right=True, rank=1),
    _Figure("p50/p95", 11, right=True, rank=4),
    _Figure("tokens", 7, right=True, rank=5),
    _Figure("cost", 0, right=False, rank=3),
)
_HEADS = {"errors": "err"}
_NAME = 8
"""Columns that the name of a set has at least."""


def rate(summary: Summary, metric: str) -> str:
    """
    A metric with its interval, three digits each; a dash for the mean of nothing.

    While samples are missing: `0.896 of 317 requested`.
    """
    measure = summary.measured(metric)
    if measure.value is None:
        return "-"
    if summary.requested is not summary:
        return f"{measure.value:.3f} of {measure.n:,} requested"
    interval = measure.interval
    between = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else ""
    return f"{measure.value:.3f}{between}"


def set_table(results: Sequence[SetResult], width: int) -> Iterator[Line]:
    """A line a set; a name with no room beside the figures stands above them."""
    names = [printable(name) for name in short_names([result.eval_set.name for result in results])]
    rows = [figures(result) for result in results]
    shown = _that_fit(rows, width - _NAME)
    room = width - sum(wide + len(_GAP) for wide in shown.values())
    wide = min(room, max(_NAME, *map(columns, names)))
    heads = {figure.name: _HEADS.get(figure.name, figure.name) for figure in _FIGURES}
    yield _cells(padded("eval set", wide), heads, shown), {"bold": True}
    for name, row, result in zip(names, rows, results, strict=True):
        fits = columns(name) <= wide
        if not fits:
            yield fitted(name, width), {}
        yield _cells(padded(name if fits else "", wide), row, shown), {}
        yield from failure_lines(result.summary, width)


def gate_table(results: Sequence[SetResult], width: int, *, only_open: bool = False) -> Iterator[Line]:
    """A line a gate; with `only_open`, none for those that pass."""
    for result in results:
        verdicts = [v for v in result.verdicts if not (only_open and v.status is Status.PASS)]
        if result.eval_set.settings.gates and verdicts:
            yield fitted(f"gates of {result.eval_set.name}", width), {"bold": True}
            wide = max(columns(verdict.gate) for verdict in verdicts)
            for verdict in verdicts:
                yield from _gate_lines(verdict, wide, width, reason=not only_open)


def model_table(results: Sequence[SetResult], judged: Container[str], width: int) -> Iterator[Line]:
    """One set, a column for each model; more models than fit beside each other make tables below each other."""
    rows = {name: [figures(result)[name] for result in results] for name in figures(results[0])}
    if results[0].eval_set.settings.gates:
        for number, verdict in enumerate(results[0].verdicts):
            # The baseline is what the others are judged by, and is not judged itself.
            rows[printable(verdict.gate)] = [
                str(result.verdicts[number].status) if result.model in judged else "-" for result in results
            ]
    first = min(max(map(columns, rows)) + 2, width // 2)
    heads, legend = _model_names([printable(result.model) for result in results], width - first)
    yield fitted(results[0].eval_set.name, width), {"bold": True}
    yield from ((fitted(line, width), {}) for line in legend)
    widths = [max(map(columns, (head, *(row[n] for row in rows.values())))) for n, head in enumerate(heads)]
    for chosen in _side_by_side(widths, width - first):
        yield _row("", [heads[n] for n in chosen], [widths[n] for n in chosen], first), {"bold": True}
        for name, cells in rows.items():
            yield _row(f"  {name}", [cells[n] for n in chosen], [widths[n] for n in chosen], first), {}


def figures(result: SetResult) -> dict[str, str]:
    """The figures of a set as short texts, by name."""
    summary = result.summary
    has_format = reports_metric(result.eval_set.settings, "valid_rate")
    tokens = "-" if summary.tokens is None else f"{summary.tokens:,}"
    cached = f", {summary.from_cache:,} cached" if summary.from_cache else ""
    unrun = f"+{result.unrun:,}u" if result.unrun else ""
    return {
        "accuracy": "decided early" if result.unneeded else rate(summary, "accuracy"),
        "valid": rate(summary, "valid_rate")[:5] if has_format and not result.unneeded else "-",
        "errors": f"{summary.counts[State.ERROR]:,}{unrun}",
        "p50/p95": _latency(summary),
        "tokens": tokens,
        "cost": f"{dollars(summary.cost)}{cached}",
    }


def measured(verdict: Verdict) -> str:
    """The value of a gate with its interval; a dash where there is none."""
    if verdict.value is None:
        return "-"
    between = f" [{verdict.interval.low:.3f}, {verdict.interval.high:.3f}]" if verdict.interval else ""
    return f"{verdict.value:.3f}{between}"


def failure_lines(summary: Summary, width: int) -> Iterator[Line]:
    """The format failures of a set by kind; nothing where there is none."""
    if failures := summary.format_failures:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in failures.items())
        yield from ((f"  {line}", {}) for line in folded(f"format failures: {kinds}", width - 4))


def _that_fit(rows: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The columns that there is room for, with their widths."""
    wide = {f.name: max(f.least, *(columns(row[f.name]) for row in rows)) for f in _FIGURES}
    for figure in sorted(_FIGURES, key=lambda figure: -figure.rank)[:-1]:
        if sum(one + len(_GAP) for one in wide.values()) > width:
            del wide[figure.name]
    return wide


def _cells(name: str, texts: dict[str, str], shown: dict[str, int]) -> str:
    cells = [
        texts[figure.name].rjust(shown[figure.name]) if figure.right else padded(texts[figure.name], shown[figure.name])
        for figure in _FIGURES
        if figure.name in shown
    ]
    return _GAP.join([name, *cells]).rstrip()


def _gate_lines(verdict: Verdict, wide: int, width: int, *, reason: bool) -> Iterator[Line]:
    """One line, or two where the gate's name is long; and the reason where there is neither pass nor fail."""
    markup, evidence = STATUS_MARKUP[verdict.status], f"{measured(verdict)}, n={verdict.n:,}"
    line = f"  {verdict.status:<12}  {padded(printable(verdict.gate), wide)}  {evidence}"
    if columns(line) <= width:
        yield line, markup
    else:
        yield f"  {verdict.status:<12}  {fitted(verdict.gate, max(width - _INDENT, 20))}", markup
        yield from ((" " * _INDENT + line, {}) for line in folded(evidence, max(width - _INDENT, 20)))
    if reason and verdict.status in (Status.INCONCLUSIVE, Status.INCOMPLETE):
        lines = folded(verdict.message, max(width - _INDENT, 20))
        yield from ((" " * _INDENT + line, {}) for line in lines)


def _model_names(models: Sequence[str], room: int) -> tuple[list[str], list[str]]:
    """The models' names as heads; where they are too long for that, letters, and what each letter stands for."""
    if sum(columns(model) + len(_GAP) for model in models) <= room:
        return list(models), []
    letters = [ascii_uppercase[n] if n < len(ascii_uppercase) else f"model {n + 1}" for n in range(len(models))]
    return letters, [f"  {letter}  {model}" for letter, model in zip(letters, models, strict=True)]


def _side_by_side(widths: Sequence[int], room: int) -> list[list[int]]:
    """Numbers of the columns in groups, each as wide as there is room, and at least one column wide."""
    groups: list[list[int]] = []
    left = 0
    for number, wide in enumerate(widths):
        if not groups or left < wide + len(_GAP):
            groups.append([])
            left = room
        groups[-1].append(number)
        left -= wide + len(_GAP)
    return groups


def _row(name: str, cells: Iterable[str], widths: Iterable[int], first: int) -> str:
    shown = "".join(_GAP + padded(cell, wide) for cell, wide in zip(cells, widths, strict=True))
    return (padded(name if columns(name) <= first else fitted(name, first), first) + shown).rstrip()


def short_names(names: Sequence[str]) -> list[str]:
    """File names without their folder, as long as that tells them apart."""
    short = [name.rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(names) else list(names)


def _latency(summary: Summary) -> str:
    p50, p95 = summary.value("latency_p50").value, summary.value("latency_p95").value
    if p50 is None or p95 is None:
        return "-"
    if p95 < 1:
        return f"{p50 * 1000:.0f}/{p95 * 1000:.0f} ms"
    return f"{p50:.1f}/{p95:.1f} s"
