"""The summary above pytest-html's table: gates, accuracy with a drawn interval, tokens and cost of each model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.reports.html_row import LIMIT, PASSED_LIMIT
from pytest_finetune.reports.html_text import escape_html
from pytest_finetune.reports.page.charts import interval_svg
from pytest_finetune.reports.tables import HOLLOW, latency, margin_text, measured, rate
from pytest_finetune.reports.text import dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet

SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "incomplete": "…"}
"""Shown before the verdict, so that it can be recognized without colours."""

STYLE = """<style>
.ft-summary{color:#222;margin:0 0 14px}.ft-summary h3{font-size:14px;margin:12px 0 4px}
.ft-summary table{margin:4px 0 8px}.ft-summary td,.ft-summary th{padding:3px 9px;border-bottom:1px solid #ddd;
text-align:left;vertical-align:middle}.ft-summary th{font-weight:600;color:#555}
.ft-summary .num{text-align:right;font-variant-numeric:tabular-nums}
.ft-summary .interval{width:180px;height:16px;vertical-align:middle}
.ft-summary .interval path{fill:none;stroke:#ccc;stroke-width:1;vector-effect:non-scaling-stroke}
.ft-summary .interval .range{stroke:#9db8d9;stroke-width:6}.ft-summary .interval .bar{stroke:#111;stroke-width:2}
.ft-summary .interval .point{stroke:#1d4f91;stroke-width:8;stroke-linecap:round}
.ft-summary .interval .hole{stroke:#fff;stroke-width:4;stroke-linecap:round}.ft-note{color:#555;max-width:70em}
.ft-pass{color:#0a6b2d}.ft-fail{color:#b3001b}.ft-inconclusive,.ft-incomplete,.ft-missed{color:#8a5a00}
.ft-error,.ft-unrun{color:#b3001b}.ft-pass,.ft-fail,.ft-inconclusive,.ft-incomplete{font-weight:600;white-space:nowrap}
#results-table .col-score,#results-table .col-latency,#results-table .col-tokens{text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}#results-table .col-testId{overflow-wrap:anywhere}
.logwrapper:has(.ft){max-height:none;overflow:visible;background:none}.logwrapper:has(.ft) .logexpander{display:none}
.logwrapper:has(.ft) .log{top:0;height:auto;border:0;padding:2px 5px;font-family:inherit;min-height:0}
.ft{display:grid;grid-template-columns:max-content 1fr;gap:2px 12px;margin:4px 0;white-space:normal}
.ft dt{color:#666}.ft dd{margin:0;color:#111;white-space:pre-wrap;overflow-wrap:anywhere;
font-family:ui-monospace,Menlo,Consolas,monospace}
.ft del{background:#fde0dc;color:#7a0012}.ft ins{background:#d9f2df;color:#05481d;text-decoration:none}
</style>"""


def title(models: Sequence[str]) -> str:
    """The page's title; the page escapes it itself."""
    return f"{' · '.join(models)}: evaluation"


def summary_html(runs: Sequence[ReportedRun], *, redact: bool) -> str:
    """The whole block, one part per model."""
    cut = (
        f"Messages and answers are cut at {LIMIT:,} characters, those of cases that passed at {PASSED_LIMIT}; "
        "the run record has them in full."
    )
    note = "Prompts and answers are omitted from this report; the run record has them." if redact else cut
    parts = "".join(part for run in runs for part in _run(run, redact=redact))
    return f"{STYLE}<div class=ft-summary>{parts}<p class=ft-note>{note}</p></div>"


def _run(run: ReportedRun, *, redact: bool) -> Iterator[str]:
    outcome = run.outcome
    verdict = f"<span class=ft-{outcome.status}>{outcome.words}</span>: {outcome.reasons}" if run.judged else "baseline"
    yield f"<h3>{escape_html(run.model)} {verdict}</h3>"
    yield from (f"<p class=ft-note>{escape_html(note)}</p>" for note in run.notices(redact=redact))
    if run.judged and any(part.gates for part in run.sets):
        yield "<table><tr><th>verdict<th>gate<th>measured<th>margin<th>why</tr>"
        yield from (_gate_row(part, gate) for part in run.sets for gate in part.gates)
        yield "</table>"
        promises = dict.fromkeys(promise for part in run.sets for promise in part.promises)
        yield from (f"<p class=ft-note>{escape_html(promise)}</p>" for promise in promises)
    yield "<table><tr><th>eval set<th>accuracy<th><th>cases<th>format failures<th>errors<th>latency p50/p95"
    yield "<th>tokens<th>cost</tr>"
    yield from map(_set_row, run.sets)
    yield "</table>"


def _set_row(part: ReportedSet) -> str:
    summary = part.summary
    accuracy = summary.measured("accuracy")
    interval = accuracy.interval
    ends = (interval.low, interval.high) if interval else (None, None)
    failures = ", ".join(f"{kind} {count:,}" for kind, count in summary.format_failures.items()) or "none"
    unrun = f", {summary.counts[State.UNRUN]:,} unrun" if summary.counts[State.UNRUN] else ""
    cells = (
        escape_html(part.name),
        interval_svg(accuracy.value, ends, scale=(0.0, 1.0), kind="accuracy", bar=_bar(part)),
        rate(summary, "accuracy"),
        f"{len(summary.rows):,}{f' × {part.repeats}' if part.repeats > 1 else ''}",
        failures,
        f"{summary.counts[State.ERROR]:,}{unrun}",
        latency(summary),
        "-" if summary.tokens is None else f"{summary.tokens:,}",
        dollars(summary.cost) + (f", {summary.from_cache:,} cached" if summary.from_cache else ""),
    )
    return f"<tr>{''.join(f'<td>{cell}' for cell in cells)}</tr>"


def _bar(part: ReportedSet) -> float | None:
    """The bar of the first gate on the accuracy over all cases."""
    bars = (gate.bar for gate in part.gates if gate.metric == "accuracy" and gate.rule and gate.rule.covers_all)
    return next((bar for bar in bars if bar is not None), None)


def _gate_row(part: ReportedSet, gate: Gate) -> str:
    verdict = gate.verdict
    style, sign = ("inconclusive", HOLLOW) if gate.is_uncertain else (verdict.status, SIGNS[verdict.status])
    return (
        f"<tr><td class=ft-{style}>{sign} {verdict.status}"
        f"<td>{escape_html(f'{part.name}: {verdict.gate}')}<td class=num>{measured(gate)}"
        f"<td class=num>{margin_text(gate)}"
        f"<td>{escape_html(verdict.message)}</tr>"
    )
