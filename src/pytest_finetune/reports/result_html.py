"""The result of an evaluation in a notebook: two tables with drawn intervals, legible on light and on dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.reports.html_summary import SIGNS
from pytest_finetune.reports.html_text import escape_html
from pytest_finetune.reports.page.charts import interval_svg, scale_of
from pytest_finetune.reports.tables import HOLLOW, latency, measured, rate
from pytest_finetune.reports.text import dollars
from pytest_finetune.verdicts.evalset.gate_metrics import RATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.evaluation.runs import VerdictRecord
    from pytest_finetune.reports.page.charts import Scale
    from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet

# Notebooks are light or dark: text has their colour, and the others are legible on both.
_STYLE = """<style>
.ft-result td,.ft-result th{padding:3px 10px;text-align:left;vertical-align:middle;white-space:pre-wrap}
.ft-result .ft-num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.ft-result .interval{width:140px;height:16px;vertical-align:middle}
.ft-result .interval path{fill:none;stroke:#8888;stroke-width:1;vector-effect:non-scaling-stroke}
.ft-result .interval .range{stroke:#5b9bd588;stroke-width:6}
.ft-result .interval .bar{stroke:currentColor;stroke-width:2}
.ft-result .interval .point{stroke:#3a7fc4;stroke-width:8;stroke-linecap:round}
.ft-result .ft-pass{color:#1a8a45;font-weight:600}.ft-result .ft-fail{color:#d8334a;font-weight:600}
.ft-result .ft-open{color:#b27300;font-weight:600}
</style>"""


def result_html(run: ReportedRun) -> str:
    """
    The verdict, the gates and the eval sets of one model. No script, and all text is escaped.

    An interval is drawn on the same scale for all rates of the table; a vertical line is the gate's bar.
    """
    return f'{_STYLE}<div class="ft-result">{"".join(_parts(run))}</div>'


def _parts(run: ReportedRun) -> Iterator[str]:
    outcome = run.outcome
    kind = _kind(str(outcome.status))
    words = f'<span class="ft-{kind}">{outcome.words}</span>: {escape_html(outcome.reasons)}'
    yield f"<p><b>{escape_html(run.model)}</b> {words}</p>"
    yield from (f"<p>{escape_html(note)}</p>" for note in run.notices(redact=False))
    gates = [(part, gate) for part in run.sets for gate in part.gates]
    values = [end for _, gate in gates if _is_rate(gate) for end in _ends(gate.verdict) if end is not None]
    bars = [gate.bar for _, gate in gates if _is_rate(gate)]
    scale = scale_of([*values, *bars], rate=True)
    if gates:
        yield _table(
            ("verdict", "eval set", "gate", "", "measured", "why"),
            [_gate_row(part, gate, scale) for part, gate in gates],
        )
    yield _table(
        ("eval set", "cases", "accuracy", "errors", "p50/p95", "tokens", "cost"), [_set_row(part) for part in run.sets]
    )
    if run.id:
        yield f"<p>run {escape_html(run.id)}</p>"


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _kind(status: str) -> str:
    return status if status in ("pass", "fail") else "open"


def _gate_row(part: ReportedSet, gate: Gate, scale: Scale) -> list[str]:
    verdict = gate.verdict
    kind, sign = ("open", HOLLOW) if gate.is_uncertain else (_kind(verdict.status), SIGNS[verdict.status])
    drawn = ""
    if verdict.value is not None:
        # Seconds, tokens and dollars have scales of their own.
        own = scale if _is_rate(gate) else scale_of([*_ends(verdict), gate.bar], rate=False)
        _, *ends = _ends(verdict)
        drawn = interval_svg(verdict.value, (ends[0], ends[1]), scale=own, kind="gate", bar=gate.bar)
    return [
        f'<td class="ft-{kind}">{sign} {verdict.status}</td>',
        f"<td>{escape_html(part.name)}</td>",
        f"<td>{escape_html(verdict.gate)}</td>",
        f"<td>{drawn}</td>",
        f'<td class="ft-num">{measured(gate)}</td>',
        f"<td>{escape_html(verdict.message)}</td>",
    ]


def _set_row(part: ReportedSet) -> list[str]:
    summary = part.summary
    unrun = summary.counts[State.UNRUN] - part.unneeded
    texts = (
        f"{len(summary.rows):,}{f' × {part.repeats}' if part.repeats > 1 else ''}",
        rate(summary, "accuracy"),
        f"{summary.counts[State.ERROR]:,}{f', {unrun:,} unrun' if unrun else ''}",
        latency(summary),
        "-" if summary.tokens is None else f"{summary.tokens:,}",
        dollars(summary.cost),
    )
    return [f"<td>{escape_html(part.name)}</td>", *(f'<td class="ft-num">{text}</td>' for text in texts)]


def _ends(verdict: VerdictRecord) -> tuple[float | None, float | None, float | None]:
    return verdict.value, verdict.low, verdict.high


def _is_rate(gate: Gate) -> bool:
    """Whether value and bar lie in [0, 1] and are not a change."""
    return gate.rule is not None and gate.metric in RATES
