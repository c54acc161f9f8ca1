"""What a session says at the terminal, as lines that fit its width; colours are asked for, never written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from pytest_finetune.base.model_ids import answers_for
from pytest_finetune.base.records import State
from pytest_finetune.base.text import printable
from pytest_finetune.evaluation.results import outcome_of
from pytest_finetune.reports.comparison import answer_line, comparison_lines, redacted_answer_line
from pytest_finetune.reports.details import detail_lines, stability_lines
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.reports.tables import STATUS_MARKUP, failure_lines, gate_table, model_table, set_table
from pytest_finetune.reports.text import dollars, fitted, folded

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from decimal import Decimal

    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.reports.text import Line

STATE_NAMES = {
    State.MISSED: ("missed", "m", ("MISSED", {"yellow": True})),
    State.ERROR: ("errored", "E", ("ERRORED", {"red": True})),
    State.UNRUN: ("unrun", "u", ("UNRUN", {"yellow": True})),
    State.UNNEEDED: ("unneeded", "n", ("UNNEEDED", {"green": True})),
}
"""How pytest names, abbreviates and colours a case that did not pass."""


class Detail(IntEnum):
    """How much the closing section tells."""

    OUTCOME = 0
    OPEN_GATES = 1
    TABLES = 2
    EVERYTHING = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How a section is written.

    Args:
        width: Columns of the terminal.
        detail: How much is told.
        redact: Show fingerprints instead of what was asked and answered.
    """

    width: int = 80
    detail: Detail = Detail.TABLES
    redact: bool = False


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
        against = {rule.against for rule in eval_set.settings.rules if rule.against}
        if against and eval_set.name not in compared:
            lines.append(f"warning: {eval_set.name} is compared with {min(against)}, and no --baseline was asked it")
    return lines


def forecast_line(model: str, calls: int, cost: Decimal | None) -> str:
    """How many calls a session will make, and about what they will cost."""
    about = "cost unknown: no price for this model" if cost is None else f"about {dollars(cost)}"
    return f"{printable(model)}: {calls:,} call{'' if calls == 1 else 's'}, {about}"


def closing_lines(
    evaluations: Sequence[Evaluation], results: Sequence[SetResult], *, judged: Container[str], layout: Layout
) -> Iterator[Line]:
    """
    First whether each model ships, then the sets with their figures, the gates with their verdicts, the records.

    Args:
        evaluations: One for each model.
        results: One for each model and set.
        judged: Specs of the models under test; a baseline that was asked beside them gets no verdict.
        layout: Width, and how much to tell.
    """
    yield from outcome_lines(results, judged=judged, width=layout.width)
    if layout.detail is Detail.OUTCOME:
        return
    if layout.detail is Detail.EVERYTHING:
        for result in results:
            yield from detail_lines(result, layout.width)
    if layout.detail is Detail.OPEN_GATES:
        for model in dict.fromkeys(result.model for result in results if result.model in judged):
            mine = [result for result in results if result.model == model]
            yield from gate_table(mine, layout.width, only_open=True)
    elif len(evaluations) == 1:
        yield from set_table(results, layout.width)
        for result in results:
            yield from stability_lines(result, layout.width, redact=layout.redact)
        yield from gate_table(results, layout.width)
    else:
        yield from _models_lines(results, judged, layout)
    for evaluation in evaluations:
        yield from _run_lines(evaluation, layout)


def outcome_lines(results: Sequence[SetResult], *, judged: Container[str], width: int) -> Iterator[Line]:
    """A sentence for each model under test: whether it ships, and why not."""
    for model in dict.fromkeys(result.model for result in results if result.model in judged):
        outcome = outcome_of([result for result in results if result.model == model])
        text, markup = f"{model} {outcome.words}: {outcome.reasons}", {"bold": True, **STATUS_MARKUP[outcome.status]}
        yield from ((line, markup) for line in folded(text, width, "  "))
        for warning in outcome.warnings:
            yield from ((line, {"yellow": True}) for line in folded(f"  {warning}", width, "  "))


def baseline_lines(results: Sequence[SetResult], *, show: int | None, layout: Layout) -> Iterator[Line]:
    """Each set beside the baseline: the difference, and at most `show` of the cases that flipped."""
    for result in results:
        if result.comparison is not None:
            yield from comparison_lines(
                result.baseline,
                result.model,
                result.comparison,
                eval_set=result.eval_set.name,
                show=show,
                answers=redacted_answer_line if layout.redact else answer_line,
                width=layout.width,
            )
        elif result.not_compared:
            text = f"{result.eval_set.name}: not compared with {result.baseline}: {result.not_compared}"
            yield from ((line, {}) for line in folded(text, layout.width, "  "))


def miss_lines(misses: Iterable[tuple[str, str]]) -> Iterator[Line]:
    """The failure texts of missed cases in sets with gates, which pytest itself does not print."""
    for nodeid, text in misses:
        yield f"____ {printable(nodeid)}", {"bold": True}
        yield text, {}


def listed_lines(listed: Iterable[tuple[str, str, str]], width: int) -> Iterator[Line]:
    """A line a case, as pytest's `-r` has it: its state, its id, and in a word why."""
    for state, nodeid, reason in listed:
        _, _, (word, markup) = STATE_NAMES[State(state)]
        yield fitted(f"{word} {nodeid}" + (f" - {reason}" if reason else ""), width), markup


def _models_lines(results: Sequence[SetResult], judged: Container[str], layout: Layout) -> Iterator[Line]:
    """Set by set, the models side by side."""
    for name in dict.fromkeys(result.eval_set.name for result in results):
        mine = [result for result in results if result.eval_set.name == name]
        yield from model_table(mine, judged, layout.width)
        for result in mine:
            if result.summary.format_failures:
                yield f"  {fitted(result.model, layout.width - 2)}", {}
                yield from failure_lines(result.summary, layout.width)
            yield from stability_lines(result, layout.width, redact=layout.redact)


def _run_lines(evaluation: Evaluation, layout: Layout) -> Iterator[Line]:
    yield from ((printable(f"warning: {text}"), {}) for text in getattr(evaluation.target, "warnings", ()))
    if evaluation.run is None:
        return
    totals = evaluation.run.manifest.totals
    if evaluation.stopped is not None:
        stopped = f"stopped: {failure_words(evaluation.stopped, redact=layout.redact)}"
        yield from ((line, {"red": True}) for line in folded(stopped, layout.width, "  "))
    if totals.unneeded:
        asked = totals.planned - totals.unneeded
        yield f"decided after {asked:,} of {totals.planned:,} samples: {totals.unneeded:,} calls saved", {}
    model = evaluation.target.model
    if strangers := [name for name in evaluation.run.manifest.answered_by if name and not answers_for(name, model)]:
        told = f"warning: asked {model}, and {', '.join(strangers[:3])} answered"
        yield from ((line, {"yellow": True}) for line in folded(told, layout.width, "  "))
    if evaluation.run.manifest.closed:
        yield f"run {evaluation.run.id}: closed", {}
    else:
        missing = totals.unrun + totals.error
        yield f"run {evaluation.run.id}: open, {missing:,} of {totals.planned:,} samples missing", {"yellow": True}
        yield "  go on with the same command and --resume; it asks only what is missing", {}


def _at(base_url: str) -> str:
    return f" at {base_url}" if base_url else ""


def _times(repeats: int) -> str:
    return f" x {repeats}" if repeats > 1 else ""
