"""What a session says at the terminal, as lines that fit 80 columns; colours are asked for, never written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.gates import Status
from pytest_finetune.records import State
from pytest_finetune.reports.text import dollars, printable, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from pytest_finetune.evaluation import Evaluation, SetResult
    from pytest_finetune.gates import Verdict
    from pytest_finetune.metrics import Summary

Line = tuple[str, dict[str, bool]]

STATE_NAMES = {
    State.MISSED: ("missed", "m", ("MISSED", {"yellow": True})),
    State.ERROR: ("errored", "E", ("ERRORED", {"red": True})),
    State.UNRUN: ("unrun", "u", ("UNRUN", {"yellow": True})),
}
"""How pytest names, abbreviates and colours a case that did not pass."""

_STATUS_MARKUP = {
    Status.PASS: {"green": True},
    Status.FAIL: {"red": True},
    Status.INCONCLUSIVE: {"yellow": True},
    Status.INCOMPLETE: {"yellow": True},
}
_INDENT = " " * 14


def header_lines(evaluations: Sequence[Evaluation]) -> list[str]:
    """Who is asked what, and whatever in the eval sets is odd but usable."""
    lines = [f"model: {printable(e.target.spec)}{_at(e.target.base_url)}" for e in evaluations]
    eval_sets = evaluations[0].eval_sets
    lines += [f"eval set: {e.name}, {len(e.cases):,} cases{_times(e.repeats)}" for e in eval_sets]
    return lines + [f"warning: {warning}" for e in eval_sets for warning in e.warnings]


def forecast_line(model: str, calls: int, cost: Decimal | None) -> str:
    """How many calls a session will make, and about what they will cost."""
    about = "cost unknown: no price for this model" if cost is None else f"about {dollars(cost)}"
    return f"{printable(model)}: {calls:,} call{'' if calls == 1 else 's'}, {about}"


def closing_lines(evaluations: Sequence[Evaluation], results: Sequence[SetResult]) -> Iterator[Line]:
    """The sets with their figures, the gates with their verdicts, the records and what to do about them."""
    for result in results:
        yield from _set_lines(result, columns=len(evaluations) > 1)
    gates = [(result, verdict) for result in results for verdict in result.verdicts if result.eval_set.settings.gates]
    if gates:
        yield "gates", {"bold": True}
    for result, verdict in gates:
        yield from _gate_lines(result, verdict, columns=len(evaluations) > 1)
    for evaluation in evaluations:
        yield from _run_lines(evaluation)


def miss_lines(misses: Iterable[tuple[str, str]]) -> Iterator[Line]:
    """The failure texts of missed cases in sets with gates, which pytest itself does not print."""
    for nodeid, text in misses:
        yield f"____ {nodeid}", {"bold": True}
        yield text, {}


def _set_lines(result: SetResult, *, columns: bool) -> Iterator[Line]:
    summary = result.summary
    yield f"{result.eval_set.name}{f'  {printable(result.model)}' if columns else ''}", {"bold": True}
    yield f"  accuracy    {_rate(summary, 'accuracy')}", {}
    counts = [f"{count:,} {state.value}" for state, count in summary.counts.items() if count]
    yield f"  samples     {', '.join(counts)}", {}
    if failures := summary.format_failures:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in failures.items())
        yield from _wrapped("format", f"{_rate(summary, 'valid_rate')} valid: {kinds}")
    elif result.eval_set.scorer.name in _FORMATS:
        yield f"  format      {_rate(summary, 'valid_rate')} valid", {}
    yield f"  latency     {_latency(summary)}", {}
    yield f"  tokens      {_tokens(summary)}, cost {dollars(summary.cost)}{_cached(summary)}", {}


def _gate_lines(result: SetResult, verdict: Verdict, *, columns: bool) -> Iterator[Line]:
    model = f" [{printable(result.model)}]" if columns else ""
    yield f"  {verdict.status.value:<13}{result.eval_set.name}{model}", _STATUS_MARKUP[verdict.status]
    yield from ((f"{' ' * 15}{line}", {}) for line in _fold(verdict.message, 64))


def _run_lines(evaluation: Evaluation) -> Iterator[Line]:
    if evaluation.run is None:
        return
    totals = evaluation.run.manifest.totals
    if evaluation.stopped is not None:
        yield f"stopped: {printable(evaluation.stopped.message)}", {"red": True}
    if evaluation.run.manifest.closed:
        yield f"run {evaluation.run.id}: closed", {}
    else:
        missing = totals.unrun + totals.error
        yield f"run {evaluation.run.id}: open, {missing:,} of {totals.planned:,} samples missing", {"yellow": True}
        yield "  go on with the same command and --resume; it asks only what is missing", {}


_FORMATS = ("label", "json", "schema", "tool_call")


def _rate(summary: Summary, metric: str) -> str:
    measure = summary.value(metric)
    if measure.value is None:
        return "-"
    interval = measure.interval
    between = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval else ""
    return f"{measure.value:.3f}{between}"


def _latency(summary: Summary) -> str:
    p50, p95 = summary.value("latency_p50").value, summary.value("latency_p95").value
    return f"p50 {seconds(p50)}, p95 {seconds(p95)}" if p50 is not None else "none measured"


def _tokens(summary: Summary) -> str:
    return "not counted by the server" if summary.tokens is None else f"{summary.tokens:,}"


def _cached(summary: Summary) -> str:
    return f", {summary.from_cache:,} from cache" if summary.from_cache else ""


def _at(base_url: str) -> str:
    return f" at {base_url}" if base_url else ""


def _times(repeats: int) -> str:
    return f" x {repeats}" if repeats > 1 else ""


def _wrapped(name: str, text: str) -> Iterator[Line]:
    first, *rest = _fold(text, 66)
    yield f"  {name:<12}{first}", {}
    yield from ((f"{_INDENT}{line}", {}) for line in rest)


def _fold(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(printable(text), width, break_on_hyphens=False) or [""]
