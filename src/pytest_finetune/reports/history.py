"""The history of an eval set as lines: its runs on one scale, flaky cases, lost cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import State
from pytest_finetune.base.text import shorten
from pytest_finetune.reports.comparison import answer_line, redacted_answer_line
from pytest_finetune.reports.page.charts import scale_of
from pytest_finetune.reports.text import GAP, WIDTH, fitted, one_line, padded, wrapped
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from pytest_finetune.evaluation.runs import VerdictRecord
    from pytest_finetune.evaluation.runs.history import CaseOutcome, FlakyCase, HistoryPoint, LostCase, SetHistory
    from pytest_finetune.reports.page.charts import Scale
    from pytest_finetune.reports.text import Line, Markup

_CHART = 17
_MODEL = 20
_PASSED = 14
_ID = 30
_STATES: Mapping[State, Markup] = {State.PASSED: {"green": True}, State.MISSED: {"red": True}}
FLAKY = "other outcomes in runs of the same model, with the same settings, over the same cases"


def history_lines(history: SetHistory, *, show: int | None) -> Iterator[Line]:
    """
    The runs with a chart, then flaky and lost cases.

    Args:
        history: Of one eval set.
        show: Maximum number of flaky and of lost cases; None for all.
    """
    yield one_line(f"{history.eval_set}: {_times(len(history.points), 'run')}"), {"bold": True}
    low, high = scale = history_scale(history)
    axis = f"{low:.1f}{'accuracy':^{_CHART - 6}}{high:.1f}"
    head = f"{'started':<16}", f"{'model':<{_MODEL}}", f"{'passed':<{_PASSED}}", f"{axis:<{_CHART}}"
    yield GAP.join((*head, "gates")), {"bold": True}
    for point in history.points:
        yield from _point_lines(point, scale)
    for run, problem in history.unreadable.items():
        yield from wrapped(f"not read: {one_line(run)}: {one_line(problem)}", {"yellow": True})
    flaky, lost = history.flaky, history.lost
    yield from _listed(f"flaky: {_times(len(flaky), 'case')}, {FLAKY}", map(_flaky_line, flaky), len(flaky), show)
    yield from _listed(f"lost: {_times(len(lost), 'case')} that passed before", map(_lost_line, lost), len(lost), show)


def case_lines(history: SetHistory, case: str, *, redact: bool) -> Iterator[Line]:
    """One case over its runs, oldest first, each with its answer."""
    answers = redacted_answer_line if redact else answer_line
    yield one_line(f"{history.eval_set}: {case}"), {"bold": True}
    prompt = ""
    for point, outcome in history.of_case(case):
        if prompt and outcome.prompt != prompt:
            yield "  the prompt changed here", {"yellow": True}
        prompt = outcome.prompt
        head = f"{_minute(point.manifest.created_at)}{GAP}{fitted(point.manifest.target.title, WIDTH - 18)}"
        yield head, _STATES.get(outcome.state, {"yellow": True})
        yield from wrapped(f"  {one_line(answers([outcome.sample]))}{_attempts(outcome)}")


def history_scale(history: SetHistory) -> Scale:
    """The limits of the chart's axis: all values, intervals and bars are inside."""
    verdicts = [point.accuracy_verdict for point in history.points]
    ends = [end for verdict in verdicts if verdict for end in (verdict.low, verdict.high, bar_of(verdict))]
    return scale_of([*ends, *map(drawn, history.points)], rate=True)


def _point_lines(point: HistoryPoint, scale: Scale) -> Iterator[Line]:
    cells = [
        _minute(point.manifest.created_at),
        padded(fitted(point.manifest.target.title, _MODEL), _MODEL),
        f"{passed_words(point):<{_PASSED}}",
        _chart(point, scale),
        gates_word(point),
    ]
    yield GAP.join(cells).rstrip(), point_markup(point)
    if point.doubt:
        yield f"  {point.doubt}", {"yellow": True}


def point_markup(point: HistoryPoint) -> Markup:
    """The colour of a run: green if all its gates passed; none without gates."""
    statuses = {verdict.status for verdict in point.verdicts}
    if not statuses:
        return {}
    return {"green": True} if statuses == {Status.PASS} else {"red" if Status.FAIL in statuses else "yellow": True}


def gates_word(point: HistoryPoint) -> str:
    """Gates that passed, of how many: `2/3`."""
    passed = sum(verdict.status == Status.PASS for verdict in point.verdicts)
    return f"{passed}/{len(point.verdicts)}" if point.verdicts else "-"


def passed_words(point: HistoryPoint) -> str:
    """The share of the requested cases that passed, and their number."""
    value = _value(point)
    return "-" if value is None else f"{value:.3f} of {point.asked:,}"


def _value(point: HistoryPoint) -> float | None:
    return point.counts[State.PASSED] / point.asked if point.asked else None


def drawn(point: HistoryPoint) -> float | None:
    """The accuracy of a run that requested every case; the part of an open run would stretch the scale."""
    return _value(point) if point.asked == point.plan.cases else None


def _chart(point: HistoryPoint, scale: Scale) -> str:
    """The accuracy as a dot on the axis, with the interval and the bar of its gate where the run has one."""
    cells = [" "] * _CHART
    verdict, value = point.accuracy_verdict, drawn(point)
    if verdict and verdict.low is not None and verdict.high is not None:
        first, last = _column(verdict.low, scale), _column(verdict.high, scale)
        cells[first : last + 1] = "─" * (last + 1 - first)
    if verdict and (bar := bar_of(verdict)) is not None:
        cells[_column(bar, scale)] = "│"
    if value is not None:
        cells[_column(value, scale)] = "●"
    return "".join(cells)


def _column(value: float, scale: Scale) -> int:
    low, high = scale
    return round((_CHART - 1) * (min(max(value, low), high) - low) / (high - low))


def bar_of(verdict: VerdictRecord) -> float | None:
    """The bar of a verdict's gate; None in records that do not have it."""
    return verdict.rule.bar if verdict.rule else None


def _listed(title: str, lines: Iterator[str], count: int, show: int | None) -> Iterator[Line]:
    if not count:
        return
    yield "", {}
    yield from wrapped(title, {"bold": True})
    for number, line in enumerate(lines):
        if number == show:
            yield f"  {count - number:,} more; --all shows them", {}
            return
        yield from wrapped(f"  {line}")


def _flaky_line(one: FlakyCase) -> str:
    return f"{shorten(one.case, _ID)}: {flaky_words(one)}, {shorten(one.model, _ID)}"


def flaky_words(one: FlakyCase) -> str:
    """How often a flaky case passed."""
    mixed = f" ({one.mixed} with right and wrong attempts)" if one.mixed else ""
    return f"passed in {one.passed} of {_times(one.runs, 'run')}{mixed}"


def _lost_line(one: LostCase) -> str:
    return f"{shorten(one.case, _ID)}: {lost_words(one)}"


def lost_words(one: LostCase) -> str:
    """When a case was lost, by which model, and when it passed last."""
    lost, before = one.lost.manifest, one.last_passed.manifest
    changed = "; the eval set changed in between" if one.set_changed else ""
    return (
        f"lost {_minute(lost.created_at)} by {shorten(lost.target.title, _ID)}, "
        f"last passed {_minute(before.created_at)} by {shorten(before.target.title, _ID)}{changed}"
    )


def _attempts(outcome: CaseOutcome) -> str:
    return f" ({outcome.passed} of {outcome.attempts} attempts passed)" if outcome.attempts > 1 else ""


def _minute(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def _times(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def known_cases(history: SetHistory) -> Sequence[str]:
    """Ids of all cases of all runs."""
    return sorted({case for point in history.points for case in point.outcomes})
