"""A registry as terminal lines: the table of versions, one version in full, the history, and shutdowns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import shorten, shown
from pytest_finetune.lifecycle.registry.announcements import LAST_FINE_TUNING_DAY, SOURCE
from pytest_finetune.lifecycle.registry.entry import VersionStatus
from pytest_finetune.lifecycle.registry.sunset import shutdown_of
from pytest_finetune.reports.runs import compared_with
from pytest_finetune.reports.tables import STATUS_MARKUP
from pytest_finetune.reports.text import dollars, field_lines, moment, number, one_line, table, wrapped
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from pytest_finetune.lifecycle.registry.entry import Entry, Event, Evidence, EvidenceSet, Registry, TrainingFile
    from pytest_finetune.lifecycle.registry.sunset import RetiringVersion, Shutdown
    from pytest_finetune.reports.text import Line

_NAME = 16
_ORDER = (
    VersionStatus.PRODUCTION,
    VersionStatus.CANARY,
    VersionStatus.CANDIDATE,
    VersionStatus.DEPRECATED,
    VersionStatus.REJECTED,
)


def versions_lines(registry: Registry, *, now: datetime) -> Iterator[Line]:
    """All versions in a table, in the order of `in_order`."""
    rows = [
        (
            shorten(version, _NAME),
            _status(entry),
            entry.model_id,
            gates_passed(entry.evidence),
            _shutdown_date(shutdown_of(entry), now),
        )
        for version, entry in in_order(registry)
    ]
    yield from table(("version", "status", "model", "gates", "shutdown"), rows, wide=2)


def in_order(registry: Registry) -> list[tuple[str, Entry]]:
    """Versions by status (production first, then canary, candidate), newest first within a status."""
    newest = sorted(registry.entries.items(), key=lambda item: (item[1].created_at, item[0]), reverse=True)
    return sorted(newest, key=lambda item: _ORDER.index(item[1].status))


def gates_passed(evidence: Evidence | None) -> str:
    """The number of gates that passed, such as `3 of 3`; a dash without evidence."""
    if evidence is None:
        return "-"
    statuses = Counter(verdict.status for one in evidence.eval_sets for verdict in one.verdicts)
    return f"{statuses[Status.PASS]} of {statuses.total()}"


def version_lines(version: str, entry: Entry, *, now: datetime) -> Iterator[Line]:
    """One version in full: what it is, its status, and its evidence."""
    yield f"version {shorten(version)}", {"bold": True}
    shutdown = shutdown_of(entry)
    facts = {
        "status": _status(entry),
        "model": entry.model_id + (f" at {entry.base_url}" if entry.base_url else ""),
        "base model": entry.base_model,
        "job": entry.job_id,
        "trained on": _file(entry.training_file),
        "validated on": _file(entry.validation_file),
        "tuned with": ", ".join(f"{name} {shown(value)}" for name, value in entry.hyperparameters.items()),
        "training": _training(entry),
        "metrics": _metrics(entry.metrics),
        "added": moment(entry.created_at),
        "shutdown": f"{_shutdown_date(shutdown, now)} ({shutdown.model}, {shutdown.source})" if shutdown else "",
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
    """Trained tokens and cost; empty for a version that was not trained by `pytest-finetune train`."""
    return "" if entry.trained_tokens is None else f"{entry.trained_tokens:,} tokens, {dollars(entry.training_cost)}"


def history_lines(events: Sequence[Event]) -> Iterator[Line]:
    """Events, newest first: when, what, who and why."""
    for event in reversed(events):
        forced = ", forced" if event.forced else ""
        moved = f": {event.before or 'new'} -> {event.after}" if event.after else ""
        subject = f" {event.version}" if event.version else ""
        head = f"{event.seq}  {event.at:%Y-%m-%d %H:%M}  {event.action}{subject}{moved}{forced}"
        yield from wrapped(one_line(head), {"bold": True, **({"yellow": True} if event.forced else {})})
        yield from wrapped(f"    {one_line(event.who + (f': {event.why}' if event.why else ''))}")


def refusal_lines(version: str, reasons: Sequence[str]) -> Iterator[Line]:
    """All reasons why a version is not promoted."""
    count = f"{len(reasons)} reason{'s' if len(reasons) != 1 else ''}"
    yield from wrapped(f"{version} is refused for {count}:", {"red": True})
    for reason in reasons:
        yield from wrapped(f"  - {one_line(reason)}")


def caution_lines(cautions: Sequence[str]) -> Iterator[Line]:
    """Warnings."""
    for caution in cautions:
        yield from wrapped(f"warning: {one_line(caution)}", {"yellow": True})


def shutdown_lines(found: Sequence[RetiringVersion], *, now: datetime, within: timedelta) -> Iterator[Line]:
    """Versions whose base model is shut down within a time, soonest first, and OpenAI's last fine-tuning day."""
    if not found:
        yield f"no version in use has a known shutdown within {within.days} days", {}
        return
    rows = [
        (
            shorten(one.version, _NAME),
            one.entry.status.value,
            one.shutdown.model,
            one.shutdown.date.isoformat(),
            time_left(one.shutdown, now),
        )
        for one in found
    ]
    yield from table(("version", "status", "model", "shutdown", ""), rows, wide=2)
    for source in dict.fromkeys(one.shutdown.source for one in found):
        yield from wrapped(f"source: {source}")
    yield from last_fine_tuning_day((one.shutdown for one in found), now=now)


def last_fine_tuning_day(shutdowns: Iterable[Shutdown], *, now: datetime) -> Iterator[Line]:
    """Until when OpenAI takes fine-tuning jobs, if any of the shutdowns is one that OpenAI announced."""
    if any(shutdown.source == SOURCE for shutdown in shutdowns):
        verb = "accepts" if now.date() <= LAST_FINE_TUNING_DAY else "accepted"
        yield f"OpenAI {verb} self-serve fine-tuning jobs until {LAST_FINE_TUNING_DAY}", {}


def _status(entry: Entry) -> str:
    return f"{entry.status} {entry.traffic:.3g}" if entry.status is VersionStatus.CANARY else entry.status.value


def _shutdown_date(shutdown: Shutdown | None, now: datetime) -> str:
    return f"{shutdown.date}{'!' if shutdown.days_left(now) <= 0 else ''}" if shutdown else ""


def time_left(shutdown: Shutdown, now: datetime) -> str:
    """The time until a shutdown, or since it: `in 46 days`, `today`, `3 days ago`."""
    days = shutdown.days_left(now)
    if not days:
        return "today"
    unit = "day" if abs(days) == 1 else "days"
    return f"in {days} {unit}" if days > 0 else f"{-days} {unit} ago"


def _evidence_lines(evidence: Evidence) -> Iterator[Line]:
    yield "evidence", {"bold": True}
    commit = f"git {evidence.git_commit[:12]}{' with changes' if evidence.git_dirty else ''}"
    yield from wrapped(f"  run {one_line(evidence.run_id)}")
    yield from field_lines("evaluated", evidence.spec + (f" at {evidence.base_url}" if evidence.base_url else ""))
    yield from field_lines("answered as", ", ".join(evidence.answered_by))
    if evidence.identity != evidence.base_url:
        yield from field_lines("weights", evidence.identity)
    for baseline in evidence.baselines:
        yield from field_lines("compared", compared_with(baseline))
    yield from field_lines("closed", moment(evidence.closed_at))
    creator = f"pytest-finetune {evidence.pytest_finetune}"
    yield from field_lines("created by", f"{creator}, {commit}" if evidence.git_commit else creator)
    for one in evidence.eval_sets:
        yield from _set_lines(one)


def _set_lines(one: EvidenceSet) -> Iterator[Line]:
    times = f" x {one.repeats}" if one.repeats != 1 else ""
    yield from wrapped(f"  {one_line(one.name)}, {one.cases:,} cases{times}")
    counts = (f"{one.counts[state]:,} {state}" for state in State if state in one.counts)
    yield from wrapped(f"    {', '.join(counts)}")
    yield from wrapped(f"    {_metrics(one.metrics)}", indent=6)
    for verdict in one.verdicts:
        markup = STATUS_MARKUP[Status(verdict.status)]
        yield from wrapped(f"    {verdict.status:<12}  {one_line(verdict.message or verdict.gate)}", markup, indent=18)


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in metrics.items())
