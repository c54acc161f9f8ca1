"""Data of the summary above the case list: verdict, gates, totals and panels, as plain values for the template."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.reports.page.charts import histogram_svg, interval_svg, path_svg, scale_of
from pytest_finetune.reports.page.panels import (
    breakdown_view,
    comparison_view,
    confusions_view,
    failures_view,
    labels_view,
    matrix_view,
    stability_view,
)
from pytest_finetune.reports.page.slices import accuracy_view
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.page.wording import amount, between, link
from pytest_finetune.reports.tables import confidence_figures, figures, short_names
from pytest_finetune.reports.text import dollars
from pytest_finetune.verdicts.evalset.gate_metrics import RATES
from pytest_finetune.verdicts.gates import Status
from pytest_finetune.verdicts.gates.wording import figure
from pytest_finetune.verdicts.metrics.measure import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.reports.page.charts import Scale
    from pytest_finetune.reports.page.wording import Values
    from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet
    from pytest_finetune.verdicts.stopping import Stopping


_URGENCY = (Status.FAIL, Status.INCOMPLETE, Status.INCONCLUSIVE, Status.PASS)


def run_view(run: ReportedRun, number: int, *, redact: bool) -> Values:
    """The summary of one model as plain values and charts."""
    rates = [gate for part in run.sets for gate in part.gates if gate.metric in RATES]
    # One scale for all rates, so that their charts can be compared.
    scale = scale_of([end for gate in rates for end in (gate.verdict.value, gate.verdict.low, gate.bar)], rate=True)
    names = short_names([visible(part.name) for part in run.sets])
    sets = [
        {**_set_view(part, number, redact=redact), "short": name} for part, name in zip(run.sets, names, strict=True)
    ]
    return {
        "model": visible(run.model),
        "number": number,
        "status": str(run.outcome.status) if run.judged else "none",
        "headline": headline(run),
        "facts": {name: visible(value) for name, value in run.facts.items()},
        "totals": _totals(run),
        "notes": [visible(note) for note in _notes(run, redact=redact)],
        "judged": run.judged,
        "seen": [visible(run.facts[name]) for name in ("started", "server", "git") if name in run.facts],
        "sets": sets,
        "cost_names": list(dict.fromkeys(name for view in sets for name in view["cost"]["figures"])),
        "gates": _gates_of_all(run, rates=scale),
        "promises": list(dict.fromkeys(promise for part in run.sets for promise in part.promises)),
        "accuracy": accuracy_view(run, number, redact=redact),
    }


def headline(run: ReportedRun) -> str:
    """The verdict in one sentence."""
    outcome = run.outcome
    return f"{outcome.words.capitalize()}: {outcome.reasons}" if run.judged else "Baseline, not judged"


def _set_view(part: ReportedSet, number: int, *, redact: bool) -> Values:
    summary, name = part.summary, visible(part.name)
    reads_paths = not redact
    labels = summary.requested.labels if summary.requested.rows else None
    before = part.comparison.labels if part.comparison else None
    return {
        "name": name,
        "link": link(number, set=name),
        "ungated": not part.gated,
        "gates": len(part.gates),
        "matrix": matrix_view(labels, before, number, name, linked=reads_paths) if labels else None,
        "confusions": confusions_view(labels, before, number, name, linked=reads_paths) if labels else [],
        "labels": labels_view(labels, before) if labels else [],
        "failures": failures_view(summary, number, name, paths=reads_paths),
        "comparison": comparison_view(part, part.comparison, number) if part.comparison else None,
        "breakdown": breakdown_view(part, redact=redact),
        "stability": stability_view(part, number, paths=reads_paths) if part.repeats > 1 else None,
        "confidence": confidence_figures(summary),
        "cost": _cost(part),
        "repeats": part.repeats,
    }


def _gates_of_all(run: ReportedRun, *, rates: Scale) -> list[Values]:
    """The gates of all sets, the failed ones first."""
    names = short_names([visible(part.name) for part in run.sets])
    gates = [(gate, name) for part, name in zip(run.sets, names, strict=True) for gate in part.gates]
    ordered = sorted(gates, key=lambda pair: _URGENCY.index(pair[0].status))
    return [{"set": name, **_gate(gate, rates)} for gate, name in ordered]


def _notes(run: ReportedRun, *, redact: bool) -> Iterator[str]:
    yield from run.notices(redact=redact)
    for part in run.sets:
        yield from _set_notes(part)


def _set_notes(part: ReportedSet) -> Iterator[str]:
    if part.missing_prompts:
        yield f"Prompts and expected answers are not shown: {part.missing_prompts}."
    if part.settings is None:
        what = "Labels" if all(gate.rule for gate in part.gates) else "Bars and labels"
        yield f"{what} of {part.name} are not shown: its settings were removed or changed."
    if part.comparison is None:
        yield from (f"{part.name}: {note}" for note in part.notes)


def _totals(run: ReportedRun) -> list[tuple[str, str]]:
    summaries = [part.summary for part in run.sets]
    counts = {state: sum(summary.counts[state] for summary in summaries) for state in State}
    planned = sum(summary.planned for summary in summaries)
    tokens = [summary.tokens for summary in summaries]
    totals = [
        ("cases", f"{sum(len(summary.rows) for summary in summaries):,}"),
        ("passed", f"{counts[State.PASSED]:,} of {planned:,}"),
        ("missed", f"{counts[State.MISSED]:,}"),
        ("errors", f"{counts[State.ERROR]:,}"),
        ("not run", f"{counts[State.UNRUN] - run.unneeded:,}"),
        ("not needed", f"{run.unneeded:,}"),
        ("tokens", "" if None in tokens else f"{sum(count or 0 for count in tokens):,}"),
        ("cost", dollars(run.cost)),
    ]
    return [(name, value) for name, value in totals if value and (value != "0" or name == "missed")]


def _gate(gate: Gate, rates: Scale) -> Values:
    verdict, bar = gate.verdict, gate.bar
    ends = verdict.low, verdict.high
    scale = rates if gate.metric in RATES else scale_of([verdict.value, *ends, bar], rate=False)
    drawn = verdict.value is not None and gate.metric
    kind = f"{verdict.status} hollow" if gate.is_uncertain else verdict.status
    return {
        "status": verdict.status,
        "mark": kind,
        "gate": visible(verdict.gate),
        "why": visible(verdict.message) if _needs_explanation(gate) else "",
        "chart": interval_svg(verdict.value, ends, scale=scale, bar=bar, kind=kind) if drawn else "",
        "ends": [f"{end:g}" if gate.metric in RATES else amount(end, gate.metric) for end in scale],
        "value": "" if verdict.value is None else _value_text(verdict.value, bar, gate.metric),
        "bar": "" if bar is None else _bar_text(gate, bar),
        "interval": between(verdict.low, verdict.high, gate.metric),
        "margin": "" if gate.margin is None else _margin(gate, gate.margin),
        "n": f"{verdict.planned:,}",
        "path": _path(gate, verdict.stopping) if verdict.stopping else None,
    }


def _path(gate: Gate, stopping: Stopping) -> Values:
    """What a sequential gate saw at each look, as a chart and as a table."""
    points = stopping.path

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    return {
        "chart": path_svg(stopping, bar=gate.bar, kind=gate.verdict.status),
        "title": f"The path of {visible(gate.verdict.gate)} to {stopping.text}",
        "rows": [(f"{each.n:,}", *map(shown, (each.value, each.passes_at, each.fails_at))) for each in points],
    }


def _needs_explanation(gate: Gate) -> bool:
    """Whether the columns alone do not explain the verdict; they do for a met gate and a plainly missed bar."""
    if gate.is_corrected or gate.is_uncertain:
        return True
    plain = gate.bar is not None and gate.metric not in ("flips", "drop")
    return gate.verdict.status != Status.PASS and not (gate.verdict.status == Status.FAIL and plain)


def _bar_text(gate: Gate, bar: float) -> str:
    shown = f"{bar:g}" if gate.metric in (*RATES, "drop") else amount(bar, gate.metric)
    return f"{'≥' if gate.rule and gate.rule.upward else '≤'} {shown}"


def models_view(runs: Sequence[ReportedRun]) -> Values:
    """The figures of each eval set with a column per model."""
    sets = []
    for parts in zip(*(run.sets for run in runs), strict=True):
        columns = [figures(part) for part in parts]
        rows = [(name, [visible(column[name]) for column in columns]) for name in columns[0]]
        statuses = [_statuses(part) for part in parts]
        sets.append({"name": visible(parts[0].name), "rows": [("gates", statuses), *rows]})
    return {"models": [visible(run.model) for run in runs], "sets": sets}


def _statuses(part: ReportedSet) -> str:
    counts = Counter(part.statuses)
    return ", ".join(f"{counts[status]} {status}" for status in _URGENCY if counts[status]) or "not judged"


def _value_text(value: float, bar: float | None, metric: str) -> str:
    return amount(value, metric) if bar is None or metric not in RATES else figure(value, bar)


def _margin(gate: Gate, margin: float) -> str:
    digits = figure(abs(margin), 0) if gate.metric in (*RATES, "drop") else amount(abs(margin), gate.metric)
    return f"{'+' if margin > 0 else '−' if margin < 0 else '±'}{digits}"


def _cost(part: ReportedSet) -> Values:
    summary = part.summary
    timed = [completion.latency for completion in summary.completions if completion.is_timed]
    p50, p95 = (summary.value(metric).value for metric in QUANTILES)
    tokens, price = summary.value("tokens_per_case").value, summary.value("cost_per_case").value
    rows = [
        ("p50", "" if p50 is None else amount(p50, "latency_p50")),
        ("p95", "" if p95 is None else amount(p95, "latency_p95")),
        ("slowest", amount(max(timed), "latency_p95") if timed else ""),
        ("tokens", "" if summary.tokens is None else f"{summary.tokens:,}"),
        ("tokens per answer", "" if tokens is None else f"{tokens:,.0f}"),
        ("cost", "" if summary.cost is None else dollars(summary.cost)),
        ("cost per answer", "" if not price else amount(price, "cost_per_case")),
        ("from cache", f"{summary.from_cache:,}" if summary.from_cache else ""),
    ]
    return {
        "figures": {name: value for name, value in rows if value},
        "chart": histogram_svg(timed) if len(timed) > 1 else "",
        "slowest": amount(max(timed), "latency_p95") if timed else "",
    }
