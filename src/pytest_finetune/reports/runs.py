"""Run records as text: a few lines per run for the list, and all of one run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.evaluation.runs import Totals
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.reports.reported import Gate
from pytest_finetune.reports.tables import STATUS_MARKUP, gates_lines
from pytest_finetune.reports.text import WIDTH, dollars, field_lines, moment, one_line, wrapped
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.evaluation.runs import BaselineRecord, EvalSetPlan, Manifest, Run
    from pytest_finetune.reports.text import Line


def run_totals(run: Run) -> Totals:
    """
    Counts over the whole plan; counted from the samples if the run was cut off before it recorded them.

    Raises:
        RunError: They have to be counted, and the record is damaged.
    """
    if run.manifest.closed or run.manifest.totals.planned:
        return run.manifest.totals
    planned = sum(plan.cases * plan.repeats for plan in run.manifest.eval_sets)
    found = Counter(sample.state for sample in run.samples().values())
    passed, missed, error = (found[state] for state in (State.PASSED, State.MISSED, State.ERROR))
    unrun = max(0, planned - passed - missed - error)
    return Totals(planned=planned, passed=passed, missed=missed, error=error, unrun=unrun)


def verdict_counts(manifest: Manifest) -> dict[str, int]:
    """Number of verdicts by status, the most frequent first."""
    return dict(Counter(verdict.status for verdict in manifest.verdicts).most_common())


def run_summary_lines(run: Run) -> Iterator[Line]:
    """A run in the list: its id, its model and eval sets, its counts and verdicts."""
    manifest = run.manifest
    yield printable(run.id), {"bold": True}
    sets = ", ".join(plan.name for plan in manifest.eval_sets)
    yield from wrapped(f"  {_state(manifest)}, {one_line(manifest.target.title)}, {one_line(sets)}")
    verdicts = ", ".join(f"{count} {status}" for status, count in verdict_counts(manifest).items()) or "none"
    yield from wrapped(f"  {_counts(run_totals(run))}; verdicts: {one_line(verdicts)}", _outcome_markup(manifest))


def why_stopped(manifest: Manifest, *, redact: bool) -> str:
    """Why the evaluation stopped early, without the server's own message if `redact`; empty if it did not."""
    return failure_words(manifest.stop, redact=redact) if manifest.stop else ""


def run_facts(manifest: Manifest) -> dict[str, str]:
    """What was evaluated, when, and with which versions, by name; what is not known is left out."""
    target, versions = manifest.target, manifest.versions
    changed = " with changes" if versions.git_dirty else ""
    facts = {
        "server": target.base_url,
        "selected as": target.spec if target.version else "",
        "requested as": target.model if target.model != target.spec and not target.version else "",
        "answered as": ", ".join(name for name in manifest.answered_by if name not in (target.spec, target.model)),
        "weights": target.identity if target.identity != target.base_url else "",
        "started": moment(manifest.created_at),
        "git": f"{versions.git_commit[:12]}{changed}" if versions.git_commit else "",
        "versions": f"pytest-finetune {versions.pytest_finetune}, Python {versions.python}",
    }
    return {name: value for name, value in facts.items() if value}


def run_lines(run: Run, *, redact: bool = False) -> Iterator[Line]:
    """The whole manifest: target, totals, versions, eval sets and verdicts."""
    manifest = run.manifest
    yield f"run {printable(run.id)}", {"bold": True}
    state = _state(manifest) + (f" {moment(manifest.closed_at)}" if manifest.closed_at else "")
    totals = run_totals(run)
    for name, value in {"model": manifest.target.title, **run_facts(manifest)}.items():
        yield from field_lines(name, value)
    for baseline in manifest.baselines:
        yield from field_lines("compared", compared_with(baseline))
    yield from field_lines("state", state, {} if manifest.closed else {"yellow": True})
    if manifest.closed:
        fault = run.seal_fault
        yield from field_lines("seal", fault or "intact", {"red": True} if fault else {})
    yield from field_lines("stopped", why_stopped(manifest, redact=redact), {"red": True})
    cached = f", {totals.from_cache:,} cached" if totals.from_cache else ""
    for warning in manifest.warnings:
        yield from field_lines("warning", warning, {"yellow": True})
    yield from field_lines("samples", _counts(totals) + cached)
    yield from field_lines("cost", dollars(totals.cost))
    yield "eval sets", {"bold": True}
    for plan in manifest.eval_sets:
        yield from _plan_lines(plan)
    for name in dict.fromkeys(verdict.eval_set for verdict in manifest.verdicts):
        gates = [Gate(verdict, verdict.rule) for verdict in manifest.verdicts if verdict.eval_set == name]
        yield from gates_lines(name, gates, WIDTH, explained=frozenset(Status))
    if not manifest.verdicts:
        yield "no verdicts: the run ended before it was judged", {"yellow": True}


def _plan_lines(plan: EvalSetPlan) -> Iterator[Line]:
    times = f" x {plan.repeats}" if plan.repeats != 1 else ""
    yield from wrapped(f"  {one_line(plan.name)}, {plan.cases:,} cases{times}")
    hashes = {"cases": plan.cases_sha256, "settings": plan.settings_sha256, "schema": plan.schema_sha256}
    shown = "  ".join(f"{name} {value[:12]}" for name, value in hashes.items() if value)
    yield from wrapped(f"    sha256: {one_line(shown)}")
    for note in plan.request_notes:
        yield from wrapped(f"    requests: {one_line(note)}")


def _state(manifest: Manifest) -> str:
    if manifest.closed:
        return "closed"
    return f"shard {manifest.shard}, open" if manifest.shard else "open"


def _counts(totals: Totals) -> str:
    others = (
        (totals.missed, "missed"),
        (totals.error, "in error"),
        (totals.unrun, "unrun"),
        (totals.unneeded, "unneeded"),
    )
    rest = "".join(f", {count:,} {what}" for count, what in others if count)
    return f"{totals.passed:,} of {totals.planned:,} passed{rest}"


def compared_with(baseline: BaselineRecord) -> str:
    """The baseline of the gates: name, model, server, run, and any doubt about it."""
    at = f" at {baseline.base_url}" if baseline.base_url else ""
    run = f", run {baseline.run}" if baseline.run else ""
    return f"with {baseline.name}: {baseline.model}{at}{run}" + (f", but {baseline.doubt}" if baseline.doubt else "")


def _outcome_markup(manifest: Manifest) -> dict[str, bool]:
    statuses = {verdict.status for verdict in manifest.verdicts}
    if manifest.closed and Status.FAIL in statuses:
        return STATUS_MARKUP[Status.FAIL]
    return STATUS_MARKUP[Status.PASS if manifest.closed and statuses == {Status.PASS} else Status.INCOMPLETE]
