"""The tables of the summary: eval sets with their figures, gates with their verdicts, models side by side."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, NamedTuple

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.reports.reported import UNCERTAIN_TEXT
from pytest_finetune.reports.text import GAP, columns, dollars, estimate, fitted, padded, wrapped
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.wording import figure
from pytest_finetune.verdicts.metrics.confidence import COVERAGES

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from pytest_finetune.reports.reported import Gate, ReportedSet
    from pytest_finetune.reports.text import Line, Markup
    from pytest_finetune.verdicts.metrics import Summary

STATUS_MARKUP = {
    Status.PASS: {"green": True},
    Status.FAIL: {"red": True},
    Status.INCONCLUSIVE: {"yellow": True},
    Status.INCOMPLETE: {"yellow": True},
}
HOLLOW = "○"
"""Marks a verdict that rests on a value whose interval crosses the bar."""

_INDENT = 16
_LEAST = 20
"""Minimum width, in columns, of a text below a verdict."""


class _Figure(NamedTuple):
    """A column of the table of sets; a least width makes the tables of several sessions look alike."""

    name: str
    least: int
    right: bool
    rank: int


# On a narrow terminal, the column of the highest rank is left out first.
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
"""Minimum width of the column of names."""


def rate(summary: Summary, metric: str) -> str:
    """
    A metric with its interval, three digits each; a dash if nothing was measured.

    While samples are missing: `0.896 of 317 requested`.
    """
    measure = summary.measured(metric)
    if measure.value is not None and summary.requested is not summary:
        return f"{measure.value:.3f} of {measure.n:,} requested"
    return estimate(measure.value, measure.interval)


def confidence_figures(summary: Summary) -> list[tuple[str, str]]:
    """Calibration, and accuracy by coverage, by name; empty if no answer has a known probability."""
    answers, unknown = len(summary.completions), summary.without_probability
    if unknown == answers:
        return []
    if unknown:
        return [("confidence", f"unknown: {unknown:,} of {answers:,} answers have no logprobs of their text")]
    figures = [("calibration error", rate(summary, "ece"))]
    for coverage in COVERAGES:
        covered = replace(summary, coverage=coverage)
        figures.append((f"accuracy of the {coverage * 100:g} % most confident", rate(covered, "accuracy_at_coverage")))
    return figures


def set_table(sets: Sequence[ReportedSet], width: int) -> Iterator[Line]:
    """One line per set; a name too long to fit next to the figures is on a line above them."""
    names = [printable(name) for name in short_names([part.name for part in sets])]
    rows = [figures(part) for part in sets]
    shown = _that_fit(rows, width - _NAME)
    room = width - sum(wide + len(GAP) for wide in shown.values())
    wide = min(room, max(_NAME, *map(columns, names)))
    heads = {column.name: _HEADS.get(column.name, column.name) for column in _FIGURES}
    yield _cells(padded("eval set", wide), heads, shown), {"bold": True}
    for name, row, part in zip(names, rows, sets, strict=True):
        fits = columns(name) <= wide
        if not fits:
            yield fitted(name, width), {}
        yield _cells(padded(name if fits else "", wide), row, shown), {}
        yield from failure_lines(part.summary, width)


def gate_table(sets: Sequence[ReportedSet], width: int, *, only_open: bool = False) -> Iterator[Line]:
    """One line per gate; with `only_open`, none for gates that pass."""
    explained = () if only_open else (Status.INCONCLUSIVE, Status.INCOMPLETE)
    for part in sets:
        gates = [gate for gate in part.gates if not (only_open and gate.status is Status.PASS)]
        if part.gated and gates:
            yield from gates_lines(part.name, gates, width, explained)
            for promise in () if only_open else part.promises:
                yield from wrapped(f"  {promise}", indent=4, width=width)


def gates_lines(eval_set: str, gates: Sequence[Gate], width: int, explained: Container[Status]) -> Iterator[Line]:
    """
    The gates of a set, each with its verdict, its value and the number of its cases.

    Args:
        eval_set: Name of the set.
        gates: At least one.
        width: Columns of a line.
        explained: Gates with these verdicts are followed by their message, and so are values that were corrected.
    """
    yield fitted(f"gates of {eval_set}", width), {"bold": True}
    wide = max(columns(gate.verdict.gate) for gate in gates)
    for gate in gates:
        yield from _gate_lines(gate, wide, width)
        if gate.status in explained or gate.is_corrected:
            yield from _below(gate.verdict.message, width)
        elif gate.is_uncertain:
            yield from _below(UNCERTAIN_TEXT, width)


def model_table(models: Sequence[str], sets: Sequence[ReportedSet], width: int) -> Iterator[Line]:
    """One eval set, with a column per model; models that do not fit side by side go into further tables below."""
    rows = {name: [figures(part)[name] for part in sets] for name in figures(sets[0])}
    if sets[0].gated:
        names = next((tuple(gate.verdict.gate for gate in part.gates) for part in sets if part.gates), ())
        for number, name in enumerate(names):
            # A baseline is not judged, so it has no gates.
            rows[printable(name)] = [status_word(part.gates[number]) if part.gates else "-" for part in sets]
    first = min(max(map(columns, rows)) + 2, width // 2)
    heads, legend = _model_names([printable(model) for model in models], width - first)
    yield fitted(sets[0].name, width), {"bold": True}
    yield from ((fitted(line, width), {}) for line in legend)
    widths = [max(map(columns, (head, *(row[n] for row in rows.values())))) for n, head in enumerate(heads)]
    for chosen in _side_by_side(widths, width - first):
        yield _row("", [heads[n] for n in chosen], [widths[n] for n in chosen], first), {"bold": True}
        for name, cells in rows.items():
            yield _row(f"  {name}", [cells[n] for n in chosen], [widths[n] for n in chosen], first), {}


def figures(part: ReportedSet) -> dict[str, str]:
    """The figures of a set as short texts, by name."""
    summary = part.summary
    tokens = "-" if summary.tokens is None else f"{summary.tokens:,}"
    cached = f", {summary.from_cache:,} cached" if summary.from_cache else ""
    unrun = f"+{part.unrun:,}u" if part.unrun else ""
    return {
        "accuracy": "decided early" if part.unneeded else rate(summary, "accuracy"),
        "valid": rate(summary, "valid_rate")[:5] if part.reports("valid_rate") and not part.unneeded else "-",
        "errors": f"{summary.counts[State.ERROR]:,}{unrun}",
        "p50/p95": latency(summary),
        "tokens": tokens,
        "cost": f"{dollars(summary.cost)}{cached}",
    }


def measured(gate: Gate) -> str:
    """The value of a gate with its interval, never rounded to the bar; a dash if nothing was measured."""
    verdict = gate.verdict
    if verdict.value is None:
        return "-"
    value = f"{verdict.value:.3f}" if gate.bar is None else figure(verdict.value, gate.bar)
    if verdict.low is None:
        return value
    return f"{value} [{verdict.low:.3f}, {'unbounded' if verdict.high is None else f'{verdict.high:.3f}'}]"


def status_word(gate: Gate) -> str:
    """The verdict of a gate, with a hollow mark if the value alone decided and its interval crosses the bar."""
    return f"{gate.status} {HOLLOW}" if gate.is_uncertain else str(gate.status)


def gate_markup(gate: Gate) -> Markup:
    """The colour of a gate; none if its verdict is uncertain."""
    return {} if gate.is_uncertain else STATUS_MARKUP[gate.status]


def failure_lines(summary: Summary, width: int) -> Iterator[Line]:
    """The format failures of a set by kind; nothing if there are none."""
    if failures := summary.format_failures:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in failures.items())
        yield from wrapped(f"  format failures: {kinds}", indent=2, width=width - 2)


def _that_fit(rows: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The columns that fit, and their widths."""
    wide = {f.name: max(f.least, *(columns(row[f.name]) for row in rows)) for f in _FIGURES}
    for column in sorted(_FIGURES, key=lambda column: -column.rank)[:-1]:
        if sum(one + len(GAP) for one in wide.values()) > width:
            del wide[column.name]
    return wide


def _cells(name: str, texts: dict[str, str], shown: dict[str, int]) -> str:
    cells = [
        texts[column.name].rjust(shown[column.name]) if column.right else padded(texts[column.name], shown[column.name])
        for column in _FIGURES
        if column.name in shown
    ]
    return GAP.join([name, *cells]).rstrip()


def margin_text(gate: Gate) -> str:
    """The distance of a gate's value from its bar, with its sign; a dash if either is not known."""
    margin = gate.margin
    return "-" if margin is None else f"{'-' if margin < 0 else '+'}{figure(abs(margin), 0)}"


def _gate_lines(gate: Gate, wide: int, width: int) -> Iterator[Line]:
    """One line, or two if the gate's name is long."""
    status, name = status_word(gate), gate.verdict.gate
    markup, evidence = gate_markup(gate), f"{measured(gate)}, n={gate.verdict.planned:,}"
    line = f"  {status:<12}  {padded(printable(name), wide)}  {evidence}"
    if columns(line) <= width:
        yield line, markup
    else:
        yield f"  {status:<12}  {fitted(name, max(width - _INDENT, _LEAST))}", markup
        yield from _below(evidence, width)


def _below(text: str, width: int) -> Iterator[Line]:
    return wrapped(f"{'':{_INDENT}}{text}", indent=_INDENT, width=max(width, _INDENT + _LEAST))


def _model_names(models: Sequence[str], room: int) -> tuple[list[str], list[str]]:
    """The models' names as column heads; if they are too long, letters and a legend."""
    if sum(columns(model) + len(GAP) for model in models) <= room:
        return list(models), []
    letters = [ascii_uppercase[n] if n < len(ascii_uppercase) else f"model {n + 1}" for n in range(len(models))]
    return letters, [f"  {letter}  {model}" for letter, model in zip(letters, models, strict=True)]


def _side_by_side(widths: Sequence[int], room: int) -> list[list[int]]:
    """Numbers of the columns in groups that fit the width, at least one column per group."""
    groups: list[list[int]] = []
    left = 0
    for number, wide in enumerate(widths):
        if not groups or left < wide + len(GAP):
            groups.append([])
            left = room
        groups[-1].append(number)
        left -= wide + len(GAP)
    return groups


def _row(name: str, cells: Iterable[str], widths: Iterable[int], first: int) -> str:
    shown = "".join(GAP + padded(cell, wide) for cell, wide in zip(cells, widths, strict=True))
    return (padded(name if columns(name) <= first else fitted(name, first), first) + shown).rstrip()


def short_names(names: Sequence[str]) -> list[str]:
    """File names without their folder, if they differ without it."""
    short = [name.rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(names) else list(names)


def latency(summary: Summary) -> str:
    """The median and the 95th percentile of the answers' latencies; a dash without answers."""
    p50, p95 = summary.value("latency_p50").value, summary.value("latency_p95").value
    if p50 is None or p95 is None:
        return "-"
    if p95 < 1:
        return f"{p50 * 1000:.0f}/{p95 * 1000:.0f} ms"
    return f"{p50:.1f}/{p95:.1f} s"
