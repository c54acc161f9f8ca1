"""
Runs as Markdown for pull requests and CI summaries: the verdict, the gates, the worst flips, a few misses.

Text from models, servers and files goes in code spans, where neither GitHub nor GitLab interprets markup, links or
mentions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import shorten
from pytest_finetune.reports.breakdown import SHOWN, breakdown
from pytest_finetune.reports.comparison import answer_line, redacted_answer_line
from pytest_finetune.reports.failure import accepted_text, prompt_fields
from pytest_finetune.reports.redaction import hidden
from pytest_finetune.reports.tables import confidence_figures, latency, margin_text, measured, rate
from pytest_finetune.reports.text import dollars
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.reports.breakdown import BreakdownRow
    from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet
    from pytest_finetune.verdicts.metrics.plan import CaseSamples

LIMIT = 60_000
"""Characters; GitHub rejects comments of more than 65,536."""

FLIPS, MISSES = 10, 5
"""Maximum numbers shown per eval set; the run record has all of them."""

MARKS = {Status.PASS: "✅", Status.FAIL: "❌", Status.INCONCLUSIVE: "⚠️", Status.INCOMPLETE: "⚠️"}
UNCERTAIN = "⚪"
"""A verdict that rests on a value whose interval crosses the bar."""

_NAME, _TEXT, _REASON = 80, 120, 300
_RESERVED = 400
"""Characters reserved for the last line, which counts what was left out."""


@dataclass
class _Block:
    """Introductory lines, and rows below them; as many rows as fit are written."""

    what: str
    intro: list[str]
    rows: list[str] = field(default_factory=list)


def markdown(runs: Sequence[ReportedRun], *, redact: bool = False, limit: int = LIMIT) -> str:
    """
    GitHub-flavoured Markdown of at most `limit` characters, cut between two rows.

    Args:
        runs: One per model; a baseline that was run in the same session is not reported on its own.
        redact: Show fingerprints instead of prompts and answers.
        limit: Maximum length in characters, at least 1,000.
    """
    judged = [run for run in runs if run.judged]
    blocks = [_Block("models", [], [_verdict_line(run) for run in judged])]
    for run in judged:
        blocks += _run_blocks(run, several=len(judged) > 1, redact=redact)
    return _joined(blocks, limit)


def code(text: str, limit: int = _NAME) -> str:
    """
    A code span that shows the text on one line and is safe anywhere, tables included.

    Source: GitHub Flavored Markdown, sections 6.3 (code spans) and 4.10 (a pipe in a table's cell is escaped even in
    a code span; the backslash is not shown).
    """
    line = shorten(text, limit) or " "
    longest = max((len(ticks) for ticks in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    # Parsers strip one space next to each fence, but only if there is one on both sides.
    space = " " if line != " " and (line[0] in "` " or line[-1] in "` ") else ""
    return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")


def _run_blocks(run: ReportedRun, *, several: bool, redact: bool) -> Iterator[_Block]:
    title = [f"#### {code(run.model)}", ""] if several else []
    yield _Block("notes", title, [f"- {code(note, _REASON)}" for note in run.notices(redact=redact)])
    for part in run.sets:
        yield _gates_block(part)
        yield _Block("reasons", [""], list(_reasons(part)))
        yield from _breakdown_blocks(part, redact=redact)
    for part in run.sets:
        yield from _flips_blocks(run, part, redact=redact)
    for part in run.sets:
        yield from _misses_blocks(part, redact=redact)
    state = "closed" if run.closed else "open: samples are missing; run again with `--resume` to complete it"
    yield _Block("facts", ["", f"Run {code(run.id)}: {state}." if run.id else ""])


def _verdict_line(run: ReportedRun) -> str:
    outcome = run.outcome
    cost = f", {dollars(run.cost)}" if run.cost is not None else ""
    return f"### {MARKS[outcome.status]} {code(run.model)} {outcome.words}: {outcome.reasons}{cost}"


def _gates_block(part: ReportedSet) -> _Block:
    intro = ["", f"**{code(part.name)}** {_figures(part)}", ""]
    intro += ["| verdict | gate | measured | bar | margin | n |", "|---|---|---|---|---|---|"]
    return _Block("gates", intro, [_gate_row(gate) for gate in part.gates])


def _figures(part: ReportedSet) -> str:
    """One line of figures for an eval set."""
    summary = part.summary
    facts = [f"accuracy {rate(summary, 'accuracy')}"]
    if summary.requested.labels is not None and summary.requested.labels.counts:
        facts += [f"macro F1 {rate(summary, 'macro_f1')}", f"weighted F1 {rate(summary, 'weighted_f1')}"]
    if summary.format_failures:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in summary.format_failures.items())
        facts.append(f"format failures: {kinds}")
    if part.repeats > 1:
        facts.append(f"format stability {rate(summary, 'format_stability')} over {part.repeats} repeats")
    facts += [f"{name} {value}" for name, value in confidence_figures(summary)]
    for state, word in ((State.ERROR, "in error"), (State.UNRUN, "unrun")):
        if summary.counts[state]:
            facts.append(f"{summary.counts[state]:,} {word}")
    if (seconds := latency(summary)) != "-":
        facts.append(f"p50/p95 {seconds}")
    if summary.tokens is not None:
        facts.append(f"{summary.tokens:,} tokens")
    return ", ".join([*facts, f"cost {dollars(summary.cost)}"])


def _gate_row(gate: Gate) -> str:
    verdict = gate.verdict
    bar = "-" if gate.bar is None else f"{gate.bar:g}"
    status = f"{UNCERTAIN if gate.is_uncertain else MARKS[gate.status]} {gate.status}"
    return _row(status, code(verdict.gate), measured(gate), bar, margin_text(gate), f"{verdict.planned:,}")


def _reasons(part: ReportedSet) -> Iterator[str]:
    """Messages of the gates that do not pass, are uncertain or whose value was corrected, and notes on the eval set."""
    for gate in part.gates:
        if gate.verdict.status != Status.PASS or gate.is_corrected or gate.is_uncertain:
            yield f"- {code(gate.verdict.gate)}: {code(gate.verdict.message, _REASON)}"
    yield from (f"- {promise}" for promise in part.promises)
    yield from (f"- {code(note, _REASON)}" for note in part.notes)


def _breakdown_blocks(part: ReportedSet, *, redact: bool) -> Iterator[_Block]:
    """Results by scorer and by field, those that got worse first."""
    rows = breakdown(part)
    if not rows:
        return
    compared = part.comparison is not None
    head = ["", "by", "right", "n", *((f"{code(part.baseline)}", "change") if compared else ())]
    intro = ["", f"**{code(part.name)} by scorer and field**", "", _row(*head), f"|{'---|' * len(head)}"]
    yield _Block("fields", intro, [_breakdown_row(row, compared=compared, redact=redact) for row in rows[:SHOWN]])
    if len(rows) > SHOWN:
        yield _Block("notes", ["", f"{len(rows) - SHOWN:,} more fields are on the run page."])


def _breakdown_row(row: BreakdownRow, *, compared: bool, redact: bool) -> str:
    between = row.measure.interval
    right = f"{row.measure.value:.3f}" + (f" [{between.low:.3f}, {between.high:.3f}]" if between else "")
    before = "-" if row.before is None else f"{row.before:.3f}"
    change = f"{'❌ ' if row.worse else ''}{row.change_text or '-'}"
    name = code(row.shown_name(redact=redact))
    return _row(row.kind, name, right, f"{row.measure.n:,}", *((before, change) if compared else ()))


def _flips_blocks(run: ReportedRun, part: ReportedSet, *, redact: bool) -> Iterator[_Block]:
    """The cases that flipped against the baseline, lost ones first."""
    comparison = part.comparison
    if comparison is None:
        return
    flips, describe = comparison.lost + comparison.won, redacted_answer_line if redact else answer_line
    counts = f"lost {len(comparison.lost):,}, won {len(comparison.won):,}"
    intro = ["", f"**{code(part.name)} against {code(part.baseline)}**: {counts}"]
    if flips:
        intro += ["", f"| | case | {code(part.baseline)} | {code(run.model)} |", "|---|---|---|---|"]
    rows = [
        _row(
            "lost" if flip.lost else "won",
            code(flip.case_id),
            code(describe(flip.before), _TEXT),
            code(describe(flip.after), _TEXT),
        )
        for flip in flips[:FLIPS]
    ]
    yield _Block("flips", intro, rows)
    if len(flips) > FLIPS:
        yield _Block("notes", ["", f"{len(flips) - FLIPS:,} more flips are in the run record."])


def _misses_blocks(part: ReportedSet, *, redact: bool) -> Iterator[_Block]:
    """A few cases that did not pass: last message of the prompt, expected answer, answer."""
    missed = [row for row in part.summary.rows if row.count(State.MISSED) or row.count(State.ERROR)]
    if not missed:
        return
    intro = ["", f"**Not passed in {code(part.name)}**: {len(missed):,} of {len(part.summary.rows):,} cases", ""]
    intro += ["| case | prompt | expected | answer |", "|---|---|---|---|"]
    yield _Block("misses", intro, [_miss_row(row, part, redact=redact) for row in missed[:MISSES]])


def _miss_row(row: CaseSamples, part: ReportedSet, *, redact: bool) -> str:
    got = (redacted_answer_line if redact else answer_line)(row.samples)
    if part.missing_prompts:
        return _row(code(row.case.id), "-", "-", code(got, _TEXT))
    prompt = [text for _, text in prompt_fields(row.case, redact=redact)][-1:] or ["(empty)"]
    expected = accepted_text(row.case)
    return _row(
        code(row.case.id),
        code(prompt[0], _TEXT),
        code(hidden(expected) if redact else expected, _TEXT),
        code(got, _TEXT),
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _joined(blocks: Sequence[_Block], limit: int) -> str:
    """As many rows as fit, in order, and a count of the rest."""
    lines: list[str] = []
    room = limit - _RESERVED
    left_out: dict[str, int] = {}
    for block in blocks:
        intro = block.intro
        for row in block.rows or [""]:
            new = [*intro, row] if row else intro
            size = sum(len(line) + 1 for line in new)
            if left_out or size > room:
                if row:
                    left_out[block.what] = left_out.get(block.what, 0) + 1
                continue
            lines += new
            room -= size
            intro = []
    if left_out:
        counts = ", ".join(f"{count:,} {what}" for what, count in left_out.items())
        lines += ["", f"Left out to stay within {limit:,} characters: {counts}. The run record has them."]
    return "\n".join(lines).strip("\n") + "\n"
