"""The text of a session at the terminal: lines that fit its width, each with its markup and no colour codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING

from pytest_finetune.base.records import NOTHING, State
from pytest_finetune.base.text import printable
from pytest_finetune.evaluation.baseline import missing_baselines
from pytest_finetune.evaluation.plan import target_title
from pytest_finetune.reports.comparison import answer_line, comparison_lines, redacted_answer_line
from pytest_finetune.reports.details import detail_lines, stability_lines
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.reports.tables import STATUS_MARKUP, failure_lines, gate_table, model_table, set_table
from pytest_finetune.reports.text import dollars, fitted, listed_counts, wrapped

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.reports.reported import ReportedRun
    from pytest_finetune.reports.text import Line

STATE_NAMES = {
    State.MISSED: ("missed", "m", ("MISSED", {"yellow": True})),
    State.ERROR: ("errored", "E", ("ERRORED", {"red": True})),
    State.UNRUN: ("unrun", "u", ("UNRUN", {"yellow": True})),
    State.UNNEEDED: ("unneeded", "n", ("UNNEEDED", {"green": True})),
}
"""How pytest names, abbreviates and colours a case that did not pass."""


class Detail(IntEnum):
    """How much the summary shows."""

    OUTCOME = 0
    OPEN_GATES = 1
    TABLES = 2
    EVERYTHING = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How a section is laid out.

    Args:
        width: Columns of the terminal.
        detail: How much is shown.
        redact: Show fingerprints instead of prompts and answers.
    """

    width: int = 80
    detail: Detail = Detail.TABLES
    redact: bool = False


def header_lines(evaluations: Sequence[Evaluation], compared: Container[str]) -> list[str]:
    """
    The models, the eval sets, and warnings about them.

    Args:
        evaluations: One for each model.
        compared: Names of the eval sets that have a baseline.
    """
    lines = [f"model: {printable(target_title(e.target))}{_at(e.target.base_url)}" for e in evaluations]
    eval_sets = evaluations[0].eval_sets
    lines += [f"eval set: {e.name}, {len(e.cases):,} cases{_times(e.repeats)}" for e in eval_sets]
    lines += [line for e in evaluations for line in _request_lines(e)]
    lines += [f"warning: {warning}" for e in eval_sets for warning in e.warnings]
    return lines + [f"warning: {warning}" for warning in missing_baselines(eval_sets, compared)]


def _request_lines(evaluation: Evaluation) -> Iterator[str]:
    """What is different in the requests to this model, once for all eval sets that share it."""
    model = evaluation.target.model
    sets: dict[str, list[str]] = {}
    for eval_set in evaluation.eval_sets:
        for note in evaluation.sent(eval_set).notes:
            sets.setdefault(note, []).append(eval_set.name)
    for note, names in sets.items():
        where = "" if len(names) == len(evaluation.eval_sets) else f" in {', '.join(names)}"
        yield f"requests to {printable(model)}{where}: {printable(note)}"


def forecast_line(model: str, calls: int, cost: Decimal | None, not_counted: Mapping[str, int] = NOTHING) -> str:
    """The number of calls of a session, and their approximate cost without what is not counted."""
    about = "cost unknown: no price for this model" if cost is None else f"about {dollars(cost)}"
    if cost and not_counted:
        about += f" without {listed_counts(not_counted)}, which are not counted"
    return f"{printable(model)}: {calls:,} call{'' if calls == 1 else 's'}, {about}"


def summary_lines(runs: Sequence[ReportedRun], layout: Layout) -> Iterator[Line]:
    """First whether each model ships, then the sets with their figures, the gates with their verdicts, the records."""
    judged = [run for run in runs if run.judged]
    for run in judged:
        yield from _outcome_lines(run, layout)
    # Models share their eval sets, and therefore most warnings.
    for text in dict.fromkeys(text for run in runs for text in run.warnings):
        yield from wrapped(printable(f"warning: {text}"), {"yellow": True}, indent=2, width=layout.width)
    if layout.detail is Detail.OUTCOME:
        return
    if layout.detail is Detail.EVERYTHING:
        details = (
            detail_lines(part, run.model, layout.width, redact=layout.redact) for run in runs for part in run.sets
        )
        yield from chain.from_iterable(details)
    if layout.detail is Detail.OPEN_GATES:
        yield from _open_gates(judged, layout.width)
    elif len(runs) == 1:
        yield from set_table(runs[0].sets, layout.width)
        for part in runs[0].sets:
            yield from stability_lines(part, layout.width, redact=layout.redact)
        yield from gate_table(runs[0].sets, layout.width)
    else:
        yield from _models_lines(runs, layout)
    for run in runs:
        yield from _run_lines(run, layout)


def _open_gates(judged: Sequence[ReportedRun], width: int) -> Iterator[Line]:
    """The gates that did not pass, under the name of their model if there are several."""
    for run in judged:
        gates = list(gate_table(run.sets, width, only_open=True))
        if gates and len(judged) > 1:
            yield f"  {fitted(run.model, width - 2)}", {"bold": True}
        yield from gates


def _outcome_lines(run: ReportedRun, layout: Layout) -> Iterator[Line]:
    """A sentence on whether the model ships, and why not; then warnings about its gates."""
    outcome = run.outcome
    markup = {"bold": True, **STATUS_MARKUP[outcome.status]}
    yield from wrapped(f"{run.model} {outcome.words}: {outcome.reasons}", markup, indent=2, width=layout.width)
    for warning in outcome.warnings:
        yield from wrapped(f"  {warning}", {"yellow": True}, indent=2, width=layout.width)


def baseline_lines(runs: Sequence[ReportedRun], *, show: int | None, layout: Layout) -> Iterator[Line]:
    """The comparison of each set with its baseline: the difference, and at most `show` flipped cases."""
    answers = redacted_answer_line if layout.redact else answer_line
    for model, part in ((run.model, part) for run in runs for part in run.sets):
        for note in part.notes:
            yield from wrapped(f"{part.name}: {printable(note)}", indent=2, width=layout.width)
        if part.comparison is not None:
            yield from comparison_lines(
                part.baseline,
                model,
                part.comparison,
                eval_set=part.name,
                show=show,
                answers=answers,
                width=layout.width,
            )


def miss_lines(misses: Iterable[tuple[str, str]]) -> Iterator[Line]:
    """The failure texts of missed cases in sets with gates; pytest itself does not print them."""
    for nodeid, text in misses:
        yield f"____ {printable(nodeid)}", {"bold": True}
        yield text, {}


def listed_lines(listed: Iterable[tuple[str, str, str]], width: int) -> Iterator[Line]:
    """One line per case, like pytest's `-r`: its state, its id, and a short reason."""
    for state, nodeid, reason in listed:
        _, _, (word, markup) = STATE_NAMES[State(state)]
        yield fitted(f"{word} {nodeid}" + (f" - {reason}" if reason else ""), width), markup


def _models_lines(runs: Sequence[ReportedRun], layout: Layout) -> Iterator[Line]:
    """Set by set, the models side by side."""
    models = [run.model for run in runs]
    for sets in zip(*(run.sets for run in runs), strict=True):
        yield from model_table(models, sets, layout.width)
        for model, part in zip(models, sets, strict=True):
            if part.summary.format_failures:
                yield f"  {fitted(model, layout.width - 2)}", {}
                yield from failure_lines(part.summary, layout.width)
            yield from stability_lines(part, layout.width, redact=layout.redact)


def _run_lines(run: ReportedRun, layout: Layout) -> Iterator[Line]:
    """The state of the record, and its problems."""
    if run.stopped is not None:
        stopped = f"stopped: {failure_words(run.stopped, redact=layout.redact)}"
        yield from wrapped(stopped, {"red": True}, indent=2, width=layout.width)
    if run.unneeded:
        requested = run.planned - run.unneeded
        yield f"decided after {requested:,} of {run.planned:,} samples: {run.unneeded:,} calls saved", {}
    if not run.id:
        if run.stopped is None and all(part.summary.counts[State.UNRUN] == part.summary.planned for part in run.sets):
            text = "no case was requested: -k, -m or the names on the command line select none"
            yield from wrapped(text, {"yellow": True}, indent=2, width=layout.width)
        return
    if run.closed:
        yield f"run {run.id}: closed", {}
    else:
        yield f"run {run.id}: open, {run.missing:,} of {run.planned:,} samples missing", {"yellow": True}
        whole = "evaluate all cases with --resume instead of --finetune-limit"
        hint = whole if run.limited else "resume with the same command and --resume"
        yield from wrapped(f"  {hint}; only missing samples are requested", indent=2, width=layout.width)


def _at(base_url: str) -> str:
    return f" at {base_url}" if base_url else ""


def _times(repeats: int) -> str:
    return f" x {repeats}" if repeats > 1 else ""
