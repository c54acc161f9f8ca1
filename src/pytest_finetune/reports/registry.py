"""A registry as people read it: versions in a table, one version whole, the history, and what is going."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import shorten, shown
from pytest_finetune.lifecycle.registry.entry import Status
from pytest_finetune.lifecycle.registry.sunset import LAST_FINE_TUNING_DAY, shutdown_of
from pytest_finetune.reports.runs import WIDTH, compared_with, field_lines, folded, moment, one_line, status_markup
from pytest_finetune.reports.text import dollars
from pytest_finetune.verdicts.gates import Status as VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from pytest_finetune.lifecycle.registry.entry import Entry, Event, Evidence, EvidenceSet, Registry, TrainingFile
    from pytest_finetune.lifecycle.registry.sunset import RetiringVersion, Shutdown
    from pytest_finetune.reports.text import Line

_GAP = "  "
_NAME = 16
_LEAST = 8
_ORDER = (Status.PRODUCTION, Status.CANARY, Status.CANDIDATE, Status.DEPRECATED, Status.REJECTED)


def versions_lines(registry: Registry, *, now: datetime) -> Iterator[Line]:
    """All versions in a table: production first, then the canary, then candidates, the newest first."""
    rows = [
        (
            shorten(version, _NAME),
            _standing(entry),
            entry.model_id,
            gates_passed(entry.evidence),
            _end(shutdown_of(entry), now),
        )
        for version, entry in in_order(registry)
    ]
    yield from table(("version", "status", "model", "gates", "ends"), rows, wide=2)


def in_order(registry: Registry) -> list[tuple[str, Entry]]:
    """The versions as they are listed: by where they stand, then the newest first."""
    newest = sorted(registry.entries.items(), key=lambda item: (item[1].created_at, item[0]), reverse=True)
    return sorted(newest, key=lambda item: _ORDER.index(item[1].status))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, wide: int) -> Iterator[Line]:
    """
    Columns within `WIDTH`.

    Args:
        head: A name for each column.
        rows: Text for each column.
        wide: The column whose text loses its middle where the rest leaves it too little room.
    """
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    others = sum(widths) - widths[wide] + len(_GAP) * (len(head) - 1)
    widths[wide] = min(widths[wide], max(_LEAST, WIDTH - others))
    for number, row in enumerate((head, *rows)):
        cells = (shorten(text, width).ljust(width) for text, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip(), {} if number else {"bold": True}


def gates_passed(evidence: Evidence | None) -> str:
    """How many of the gates passed: `3 of 3`; a dash where there is no evidence."""
    if evidence is None:
        return "-"
    statuses = Counter(verdict.status for one in evidence.eval_sets for verdict in one.verdicts)
    return f"{statuses[VerdictStatus.PASS]} of {statuses.total()}"


def version_lines(version: str, entry: Entry, *, now: datetime) -> Iterator[Line]:
    """One version whole: what it is, where it stands, and the evidence for it."""
    yield f"version {shorten(version)}", {"bold": True}
    shutdown = shutdown_of(entry)
    facts = {
        "status": _standing(entry),
        "model": entry.model_id + (f" at {entry.base_url}" if entry.base_url else ""),
        "base model": entry.base_model,
        "job": entry.job_id,
        "trained on": _file(entry.training_file),
        "validated on": _file(entry.validation_file),
        "tuned with": ", ".join(f"{name} {shown(value)}" for name, value in entry.hyperparameters.items()),
        "training": _training(entry),
        "metrics": _metrics(entry.metrics),
        "added": moment(entry.created_at),
        "ends": f"{_end(shutdown, now)} ({shutdown.model}, {shutdown.source})" if shutdown else "",
    }
    for name, text in facts.items():
        yield from field_lines(name, text)
    if entry.evidence is None:
        yield "no evidence", {"yellow": True}
    else:
        yield from _evidence_lines(entry.evidence)


def _file(file: TrainingFile | None) -> str:
    return f"{file.path}, sha256 {file.sha256[:12]}" if file else ""


def _training(entry: Entry) -> str:
    """Tokens and cost; nothing for a version that was not trained by a job of ours."""
    return "" if entry.trained_tokens is None else f"{entry.trained_tokens:,} tokens, {dollars(entry.training_cost)}"


def history_lines(events: Sequence[Event]) -> Iterator[Line]:
    """Events, the newest first: when, what, who and why."""
    for event in reversed(events):
        forced = ", forced" if event.forced else ""
        moved = f": {event.before or 'new'} -> {event.after}" if event.after else ""
        subject = f" {event.version}" if event.version else ""
        head = f"{event.seq}  {event.at:%Y-%m-%d %H:%M}  {event.action}{subject}{moved}{forced}"
        yield from folded(one_line(head), {"bold": True, **({"yellow": True} if event.forced else {})})
        yield from folded(f"    {one_line(event.who + (f': {event.why}' if event.why else ''))}", {})


def refusal_lines(version: str, reasons: Sequence[str]) -> Iterator[Line]:
    """Why a version is not promoted, all reasons at once."""
    count = f"{len(reasons)} reason{'s' if len(reasons) != 1 else ''}"
    yield from folded(f"{version} is refused for {count}:", {"red": True})
    for reason in reasons:
        yield from folded(f"  - {one_line(reason)}", {})


def caution_lines(cautions: Sequence[str]) -> Iterator[Line]:
    """What should be known."""
    for caution in cautions:
        yield from folded(f"warning: {one_line(caution)}", {"yellow": True})


def going_lines(found: Sequence[RetiringVersion], *, now: datetime, within: timedelta) -> Iterator[Line]:
    """What is switched off within a time, the soonest first, and when the vendor trains no more."""
    if not found:
        yield f"no version in use is known to go within {within.days} days", {}
        return
    rows = [
        (
            shorten(one.version, _NAME),
            one.entry.status.value,
            one.shutdown.model,
            one.shutdown.date.isoformat(),
            _left(one.shutdown, now),
        )
        for one in found
    ]
    yield from table(("version", "status", "model", "ends", ""), rows, wide=2)
    for source in dict.fromkeys(one.shutdown.source for one in found):
        yield from folded(f"source: {source}", {})
    if any(one.shutdown.source.startswith("https:") for one in found):
        verb = "takes" if now.date() <= LAST_FINE_TUNING_DAY else "took"
        yield f"OpenAI {verb} self-serve fine-tuning jobs until {LAST_FINE_TUNING_DAY}", {}


def _standing(entry: Entry) -> str:
    return f"{entry.status} {entry.traffic:.3g}" if entry.status is Status.CANARY else entry.status.value


def _end(shutdown: Shutdown | None, now: datetime) -> str:
    return f"{shutdown.date}{'!' if shutdown.days_left(now) <= 0 else ''}" if shutdown else ""


def _left(shutdown: Shutdown, now: datetime) -> str:
    days = shutdown.days_left(now)
    if not days:
        return "today"
    unit = "day" if abs(days) == 1 else "days"
    return f"in {days} {unit}" if days > 0 else f"{-days} {unit} ago"


def _evidence_lines(evidence: Evidence) -> Iterator[Line]:
    yield "evidence", {"bold": True}
    commit = f"git {evidence.git_commit[:12]}{' with changes' if evidence.git_dirty else ''}"
    yield from folded(f"  run {one_line(evidence.run_id)}", {})
    yield from field_lines("asked", evidence.spec + (f" at {evidence.base_url}" if evidence.base_url else ""))
    yield from field_lines("answered as", ", ".join(evidence.answered_by))
    if evidence.identity != evidence.base_url:
        yield from field_lines("weights", evidence.identity)
    for baseline in evidence.baselines:
        yield from field_lines("compared", compared_with(baseline))
    yield from field_lines("closed", moment(evidence.closed_at))
    by = f"pytest-finetune {evidence.pytest_finetune}"
    yield from field_lines("made by", f"{by}, {commit}" if evidence.git_commit else by)
    for one in evidence.eval_sets:
        yield from _set_lines(one)


def _set_lines(one: EvidenceSet) -> Iterator[Line]:
    times = f" x {one.repeats}" if one.repeats != 1 else ""
    yield from folded(f"  {one_line(one.name)}, {one.cases:,} cases{times}", {})
    counts = (f"{one.counts[state]:,} {state}" for state in State if state in one.counts)
    yield from folded(f"    {', '.join(counts)}", {})
    yield from folded(f"    {_metrics(one.metrics)}", {}, indent=6)
    for verdict in one.verdicts:
        markup = status_markup(verdict.status)
        yield from folded(f"    {verdict.status:<12}  {one_line(verdict.message or verdict.gate)}", markup, indent=18)


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
