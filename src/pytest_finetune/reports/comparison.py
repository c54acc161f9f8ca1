"""The comparison of two runs as lines that fit 80 columns: the difference, then the lost and won cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import shorten
from pytest_finetune.reports.redaction import failure_words, hidden
from pytest_finetune.reports.text import WIDTH, columns, fitted, padded, wrapped
from pytest_finetune.verdicts.gates.wording import figure
from pytest_finetune.verdicts.metrics.plan import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_finetune.base.records import Completion, Sample
    from pytest_finetune.evaluation.runs.pairing import Refusal, SetPair
    from pytest_finetune.reports.text import Line
    from pytest_finetune.verdicts.comparison import Comparison, Flip

NAME_LIMIT = 24
"""Maximum characters of the name of a run or model next to an answer."""

ID_LIMIT = 60
FIELDS = 5
"""Maximum number of fields shown that got worse, the worst first."""

TINY = 0.001
"""A smaller p is shown as less than this."""

LONGEST = 4000
"""Characters of a refusal's line before it is wrapped."""

REFUSED_CASES = 20
"""Maximum number of cases that a refusal names; the rest are counted."""


def answer_line(samples: Sequence[Sample | None]) -> str:
    """The result of one case in one run: its state, and its first answer that did not pass, uncut."""
    return _answer_line(samples, redact=False)


def redacted_answer_line(samples: Sequence[Sample | None]) -> str:
    """Like `answer_line`, with a fingerprint instead of the answer."""
    return _answer_line(samples, redact=True)


def _answer_line(samples: Sequence[Sample | None], *, redact: bool) -> str:
    failed = [sample for sample in samples if state_of(sample) is not State.PASSED]
    passed = len(samples) - len(failed)
    shown = _sample_text(failed[0] if failed else samples[0], redact=redact)
    if len(samples) == 1:
        return shown
    return f"{passed} of {len(samples)} {'passed, ' if failed else ''}{shown}"


def comparison_lines(
    name_before: str,
    name_after: str,
    comparison: Comparison,
    *,
    eval_set: str,
    show: int | None,
    answers: Callable[[Sequence[Sample | None]], str] = answer_line,
    width: int = WIDTH,
) -> Iterator[Line]:
    """
    The comparison of one eval set: a heading of one or two lines, fields that got worse, then flips, lost ones first.

    Args:
        name_before: Name of the baseline, shown before its answers.
        name_after: Name of the run that is compared with it.
        comparison: The comparison of the two.
        eval_set: Name of the eval set.
        show: Maximum number of flips shown; None shows all. The rest are counted.
        answers: Turns one side of a flip into text, which is shortened here to one line without control codes.
        width: Columns of a line.
    """
    yield from (
        (line, {"bold": True, "red": True} if comparison.worse else {"bold": True})
        for line in _head(comparison, eval_set, width)
    )
    yield from _field_lines(comparison, width, redact=answers is redacted_answer_line)
    flips = comparison.lost + comparison.won
    shown = flips if show is None else flips[: max(0, show)]
    names = [shorten(name, NAME_LIMIT) for name in (name_before, name_after)]
    for flip in shown:
        yield from _flip_lines(flip, names, answers, width)
    if hidden := flips[len(shown) :]:
        lost = sum(flip.lost for flip in hidden)
        yield f"  not shown: {lost:,} more lost, {len(hidden) - lost:,} more won", {}


def pair_notes(pair: SetPair) -> Iterator[Line]:
    """Warnings about the comparison of one set: missing samples, errors, different settings."""
    for counts, what in ((pair.missing, "missing"), (pair.errors, "in error")):
        parts = [f"{count:,} in {name}" for name, count in zip("AB", counts, strict=True) if count]
        if parts:
            yield f"  samples {what}, counted as not passed: {', '.join(parts)}", {"yellow": True}
    if not pair.same_settings:
        yield "  the settings differ: requests or scoring may differ", {"yellow": True}
    if pair.request_differences:
        yield from wrapped(f"  the requests differ: {', '.join(pair.request_differences)}", {"yellow": True})


def not_compared_lines(refusal: Refusal) -> Iterator[Line]:
    """Why an eval set was not compared, the cases that differ, and a hint."""
    yield from wrapped(
        shorten(f"{refusal.eval_set}: not compared: {refusal.problem}", LONGEST), {"red": True}, indent=2
    )
    left = REFUSED_CASES
    for what, ids in (
        ("only in A", refusal.only_before),
        ("only in B", refusal.only_after),
        ("different prompts or tools", refusal.different_requests),
    ):
        if ids:
            named = [shorten(case, ID_LIMIT) for case in ids[:left]]
            left -= len(named)
            rest = f"{len(ids) - len(named):,} more" if len(ids) > len(named) else ""
            text = ", ".join([*named, rest] if rest else named)
            yield from wrapped(shorten(f"  {what} ({len(ids):,}): {text}", LONGEST))
    yield from wrapped(f"  hint: {refusal.hint}")


def _head(comparison: Comparison, eval_set: str, width: int) -> list[str]:
    accuracy = f": accuracy {figure(comparison.before, 1)} -> {figure(comparison.after, 1)}"
    accuracy = fitted(eval_set, max(width - len(accuracy), 20)) + accuracy
    # Shown as a gain, positive if better; `difference` is the drop.
    rise = -comparison.difference.drop
    sign = "+" if rise > 0 else "-" if rise < 0 else ""
    between = f"[{-comparison.interval.high:+z.3f}, {-comparison.interval.low:+z.3f}]"
    counts = f"lost {len(comparison.lost):,}, won {len(comparison.won):,}"
    change = f"difference {sign}{figure(abs(rise), 0)} {between}, {counts}, {comparison.test} p {_p_value(comparison)}"
    change += f" ({comparison.grouping})" if comparison.grouping else ""
    whole = f"{accuracy}, {change}"
    return (
        [whole] if columns(whole) <= width else [accuracy, *(line for line, _ in wrapped(f"  {change}", width=width))]
    )


def _field_lines(comparison: Comparison, width: int, *, redact: bool) -> Iterator[Line]:
    """The scorers and the fields of JSON answers that got worse, each with the interval of its change."""
    scorers, fields = (
        [one for one in found if one.difference.drop > 0] for found in (comparison.scorers, comparison.fields)
    )
    for drop in (*scorers, *fields[:FIELDS]):
        interval = drop.difference.interval(comparison.confidence)
        between = f"[{-interval.high:+z.3f}, {-interval.low:+z.3f}], n={drop.difference.n:,}"
        word = "right" if drop in fields else "passed"
        figures = f" {word} {figure(drop.before, 1)} -> {figure(drop.after, 1)} {between}"
        path = hidden(drop.name) if redact and drop in fields else shorten(drop.name, ID_LIMIT)
        yield f"  {fitted(path, max(width - columns(figures) - 2, 20))}{figures}", {"yellow": True}
    if len(fields) > FIELDS:
        yield f"  {len(fields) - FIELDS:,} more fields got worse", {}


def _p_value(comparison: Comparison) -> str:
    """The p-value, never rounded to the level that it is compared with."""
    level = round(1 - comparison.confidence, 12)
    return f"< {TINY}" if comparison.p_value < TINY <= level else f"= {figure(comparison.p_value, level)}"


def _flip_lines(
    flip: Flip, names: list[str], answers: Callable[[Sequence[Sample | None]], str], width: int
) -> Iterator[Line]:
    what, markup = ("lost", {"red": True}) if flip.lost else ("won", {"green": True})
    yield f"  {what} {shorten(flip.case_id, ID_LIMIT)}", markup
    wide = max(map(columns, names))
    for name, samples in zip(names, (flip.before, flip.after), strict=True):
        yield f"    {padded(name, wide)}  {fitted(answers(samples), max(width - wide - 6, 20))}", {}


def _sample_text(sample: Sample | None, *, redact: bool) -> str:
    state = state_of(sample)
    if sample is None or state is State.UNRUN:
        return "unrun"
    if sample.failure is not None:
        return f"error: {failure_words(sample.failure, redact=redact)}"
    kind = f" ({sample.score.format_failure})" if sample.score and sample.score.format_failure else ""
    answer = _answer_text(sample.completion)
    return f"{state}{kind}: {hidden(answer) if redact else answer}"


def _answer_text(completion: Completion | None) -> str:
    if completion is None:
        return "(no answer recorded)"
    if completion.tool_calls:
        return "; ".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)
    return completion.text or completion.refusal or "(nothing)"
