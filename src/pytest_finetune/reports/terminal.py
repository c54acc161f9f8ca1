"""What a session says at the terminal, as lines that fit 80 columns; colours are asked for, never written."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pytest_finetune.gates import Status
from pytest_finetune.records import State
from pytest_finetune.reports.comparison import comparison_lines
from pytest_finetune.reports.details import detail_lines, rate, stability_lines
from pytest_finetune.reports.text import dollars, printable
from pytest_finetune.targets import answers_for

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from decimal import Decimal

    from pytest_finetune.evaluation import Evaluation, SetResult
    from pytest_finetune.gates import Verdict
    from pytest_finetune.metrics import Summary

Line = tuple[str, dict[str, bool]]

STATE_NAMES = {
    State.MISSED: ("missed", "m", ("MISSED", {"yellow": True})),
    State.ERROR: ("errored", "E", ("ERRORED", {"red": True})),
    State.UNRUN: ("unrun", "u", ("UNRUN", {"yellow": True})),
    State.UNNEEDED: ("unneeded", "n", ("UNNEEDED", {"green": True})),
}
"""How pytest names, abbreviates and colours a case that did not pass."""

_STATUS_MARKUP = {
    Status.PASS: {"green": True},
    Status.FAIL: {"red": True},
    Status.INCONCLUSIVE: {"yellow": True},
    Status.INCOMPLETE: {"yellow": True},
}
_INDENT = " " * 16
WIDTH = 80
NAME_WIDTH = 15
"""What is left for the name of a set beside its figures."""


def header_lines(evaluations: Sequence[Evaluation], compared: Container[str]) -> list[str]:
    """
    Who is asked what, and whatever in the eval sets is odd but usable.

    Args:
        evaluations: One for each model.
        compared: Names of the eval sets that there is a baseline for.
    """
    lines = [f"model: {printable(e.target.spec)}{_at(e.target.base_url)}" for e in evaluations]
    eval_sets = evaluations[0].eval_sets
    lines += [f"eval set: {e.name}, {len(e.cases):,} cases{_times(e.repeats)}" for e in eval_sets]
    lines += [f"warning: {warning}" for e in eval_sets for warning in e.warnings]
    for eval_set in eval_sets:
        against = {gate.against for gate in eval_set.settings.gates if gate.against}
        if against and eval_set.name not in compared:
            lines.append(f"warning: {eval_set.name} is compared with {min(against)}, and no --baseline was asked it")
    return lines


def forecast_line(model: str, calls: int, cost: Decimal | None) -> str:
    """How many calls a session will make, and about what they will cost."""
    about = "cost unknown: no price for this model" if cost is None else f"about {dollars(cost)}"
    return f"{printable(model)}: {calls:,} call{'' if calls == 1 else 's'}, {about}"


def closing_lines(
    evaluations: Sequence[Evaluation], results: Sequence[SetResult], *, detailed: bool = False
) -> Iterator[Line]:
    """The sets with their figures, the gates with their verdicts, the records and what to do about them."""
    for result in results:
        if detailed:
            yield from detail_lines(result)
    if len(evaluations) == 1:
        yield from _set_table(results)
        yield from _gate_table(results)
    else:
        for eval_set in evaluations[0].eval_sets:
            mine = [result for result in results if result.eval_set is eval_set]
            yield from _model_table(mine)
            for result in mine:
                if result.summary.format_failures:
                    yield f"  {printable(result.model)}", {}
                    yield from _failure_lines(result.summary)
                yield from stability_lines(result)
    for evaluation in evaluations:
        yield from _run_lines(evaluation)


def baseline_lines(results: Sequence[SetResult], *, show: int | None) -> Iterator[Line]:
    """Each set beside the baseline: the difference, and at most `show` of the cases that flipped."""
    for result in results:
        if result.comparison is not None:
            yield from comparison_lines(
                result.baseline, result.model, result.comparison, eval_set=result.eval_set.name, show=show
            )
        elif result.not_compared:
            yield printable(f"{result.eval_set.name}: not compared with {result.baseline}: {result.not_compared}"), {}


def miss_lines(misses: Iterable[tuple[str, str]]) -> Iterator[Line]:
    """The failure texts of missed cases in sets with gates, which pytest itself does not print."""
    for nodeid, text in misses:
        yield f"____ {nodeid}", {"bold": True}
        yield text, {}


def _set_table(results: Sequence[SetResult]) -> Iterator[Line]:
    names = _short_names([result.eval_set.name for result in results])
    wide = min(NAME_WIDTH, max(8, *map(len, names)))
    head = f"{'eval set':<{wide}}  {'accuracy':<20}  {'valid':>5}  {'err':>3}  {'p50/p95':>11}  {'tokens':>7}  cost"
    yield head, {"bold": True}
    for name, result in zip(names, results, strict=True):
        if len(name) > wide:
            yield name, {}
        f = _figures(result)
        figures = f"{f['accuracy']:<20}  {f['valid']:>5}  {f['errors']:>3}  {f['p50/p95']:>11}  {f['tokens']:>7}"
        yield f"{name if len(name) <= wide else '':<{wide}}  {figures}  {f['cost']}", {}
        yield from _failure_lines(result.summary)
    for result in results:
        yield from stability_lines(result)


def _gate_table(results: Sequence[SetResult]) -> Iterator[Line]:
    for result in results:
        if result.eval_set.settings.gates:
            yield f"gates of {result.eval_set.name}", {"bold": True}
            wide = max(len(verdict.gate) for verdict in result.verdicts)
            for verdict in result.verdicts:
                yield from _gate_lines(verdict, wide)


def _gate_lines(verdict: Verdict, wide: int) -> Iterator[Line]:
    """One line, or two where the gate's name is long; and the reason where there is neither pass nor fail."""
    markup, measured = _STATUS_MARKUP[verdict.status], f"{_measured(verdict)}, n={verdict.n:,}"
    line = f"  {verdict.status:<12}  {verdict.gate:<{wide}}  {measured}"
    if len(line) <= WIDTH:
        yield line, markup
    else:
        yield f"  {verdict.status:<12}  {verdict.gate}", markup
        yield f"{_INDENT}{measured}", {}
    if verdict.status in (Status.INCONCLUSIVE, Status.INCOMPLETE):
        yield from ((f"{_INDENT}{line}", {}) for line in _fold(verdict.message, 64))


def _model_table(results: Sequence[SetResult]) -> Iterator[Line]:
    """One set, a column for each model."""
    rows = {name: [_figures(result)[name] for result in results] for name in _figures(results[0])}
    if results[0].eval_set.settings.gates:
        # The baseline is what the others are judged by, and is not judged itself.
        baselines = {result.baseline for result in results}
        for number, verdict in enumerate(results[0].verdicts):
            rows[verdict.gate] = [
                "-" if result.model in baselines else str(result.verdicts[number].status) for result in results
            ]
    heads = [printable(result.model) for result in results]
    widths = [max(map(len, (head, *(row[n] for row in rows.values())))) for n, head in enumerate(heads)]
    first = max(map(len, rows)) + 2

    def line(name: str, cells: Sequence[str]) -> str:
        return f"{name:<{first}}" + "".join(f"  {cell:<{w}}" for cell, w in zip(cells, widths, strict=True)).rstrip()

    yield results[0].eval_set.name, {"bold": True}
    yield line("", heads), {"bold": True}
    yield from ((line(f"  {name}", cells), {}) for name, cells in rows.items())


def _figures(result: SetResult) -> dict[str, str]:
    """The figures of a set as short texts, by name."""
    summary = result.summary
    has_format = result.eval_set.scorer.name in _FORMATS
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


def _failure_lines(summary: Summary) -> Iterator[Line]:
    if failures := summary.format_failures:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in failures.items())
        yield from ((f"  {line}", {}) for line in _fold(f"format failures: {kinds}", 76))


def _measured(verdict: Verdict) -> str:
    if verdict.value is None:
        return "-"
    between = f" [{verdict.interval.low:.3f}, {verdict.interval.high:.3f}]" if verdict.interval else ""
    return f"{verdict.value:.3f}{between}"


def _short_names(names: Sequence[str]) -> list[str]:
    """File names without their folder, as long as that tells them apart."""
    short = [name.rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(names) else list(names)


def _run_lines(evaluation: Evaluation) -> Iterator[Line]:
    yield from ((printable(f"warning: {text}"), {}) for text in getattr(evaluation.target, "warnings", ()))
    if evaluation.run is None:
        return
    totals = evaluation.run.manifest.totals
    if evaluation.stopped is not None:
        yield printable(f"stopped: {evaluation.stopped.kind}: {evaluation.stopped.message}"), {"red": True}
    if totals.unneeded:
        asked = totals.planned - totals.unneeded
        yield f"decided after {asked:,} of {totals.planned:,} samples: {totals.unneeded:,} calls saved", {}
    model = evaluation.target.model
    if strangers := [name for name in evaluation.run.manifest.answered_by if name and not answers_for(name, model)]:
        yield printable(f"warning: asked {model}, and {', '.join(strangers[:3])} answered"), {"yellow": True}
    if evaluation.run.manifest.closed:
        yield f"run {evaluation.run.id}: closed", {}
    else:
        missing = totals.unrun + totals.error
        yield f"run {evaluation.run.id}: open, {missing:,} of {totals.planned:,} samples missing", {"yellow": True}
        yield "  go on with the same command and --resume; it asks only what is missing", {}


_FORMATS = ("label", "json", "schema", "tool_call")


def _latency(summary: Summary) -> str:
    p50, p95 = summary.value("latency_p50").value, summary.value("latency_p95").value
    if p50 is None or p95 is None:
        return "-"
    if p95 < 1:
        return f"{p50 * 1000:.0f}/{p95 * 1000:.0f} ms"
    return f"{p50:.1f}/{p95:.1f} s"


def _at(base_url: str) -> str:
    return f" at {base_url}" if base_url else ""


def _times(repeats: int) -> str:
    return f" x {repeats}" if repeats > 1 else ""


def _fold(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), width, break_on_hyphens=False) or [""]
