"""The history of an eval set: its runs on one scale, flaky cases, lost cases; as lines, as JSON, and for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import State
from pytest_finetune.base.text import shorten
from pytest_finetune.reports.comparison import answer_line, redacted_answer_line
from pytest_finetune.reports.page.charts import interval_svg, scale_of
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.text import GAP, WIDTH, fitted, moment, one_line, padded, wrapped
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


def history_json(history: SetHistory, case: str = "", *, redact: bool = False) -> dict[str, Any]:
    """The history as plain JSON values; with a case, its outcomes too."""
    value: dict[str, Any] = {
        "eval_set": history.eval_set,
        "runs": [_point_json(point) for point in history.points],
        "unreadable": history.unreadable,
        "flaky": [
            {"case": one.case, "model": one.model, "passed": one.passed, "runs": one.runs, "mixed": one.mixed}
            for one in history.flaky
        ],
        "lost": [
            {
                "case": one.case,
                "last_passed": one.last_passed.manifest.id,
                "lost": one.lost.manifest.id,
                "model": one.lost.manifest.target.title,
                "set_changed": one.set_changed,
            }
            for one in history.lost
        ],
    }
    if case:
        answers = redacted_answer_line if redact else answer_line
        value["case"] = [
            {
                "run": point.manifest.id,
                "state": outcome.state,
                "passed": outcome.passed,
                "attempts": outcome.attempts,
                "prompt_sha256": outcome.prompt,
                "answer": answers([outcome.sample]),
            }
            for point, outcome in history.of_case(case)
        ]
    return value


def history_page_view(history: SetHistory) -> dict[str, Any]:
    """The values of the page's template; the template escapes them."""
    scale = history_scale(history)
    return {
        "set": visible(history.eval_set),
        "axis": [f"{end:.2g}" for end in scale],
        "rows": [_row(point, scale) for point in history.points],
        "unreadable": [f"{visible(run)}: {visible(problem)}" for run, problem in history.unreadable.items()],
        "flaky": [(visible(one.case), visible(one.model), _flaky_words(one)) for one in history.flaky],
        "lost": [(visible(one.case), visible(_lost_words(one))) for one in history.lost],
        "meaning": FLAKY,
    }


def history_scale(history: SetHistory) -> Scale:
    """The limits of the chart's axis: all values, intervals and bars are inside."""
    verdicts = [point.accuracy_verdict for point in history.points]
    ends = [end for verdict in verdicts if verdict for end in (verdict.low, verdict.high, _bar(verdict))]
    return scale_of([*ends, *map(_drawn, history.points)], rate=True)


def _point_lines(point: HistoryPoint, scale: Scale) -> Iterator[Line]:
    cells = [
        _minute(point.manifest.created_at),
        padded(fitted(point.manifest.target.title, _MODEL), _MODEL),
        f"{_passed_words(point):<{_PASSED}}",
        _chart(point, scale),
        _gates_word(point),
    ]
    yield GAP.join(cells).rstrip(), _point_markup(point)
    if point.doubt:
        yield f"  {point.doubt}", {"yellow": True}


def _point_markup(point: HistoryPoint) -> Markup:
    statuses = {verdict.status for verdict in point.verdicts}
    if not statuses:
        return {}
    return {"green": True} if statuses == {Status.PASS} else {"red" if Status.FAIL in statuses else "yellow": True}


def _gates_word(point: HistoryPoint) -> str:
    passed = sum(verdict.status == Status.PASS for verdict in point.verdicts)
    return f"{passed}/{len(point.verdicts)}" if point.verdicts else "-"


def _passed_words(point: HistoryPoint) -> str:
    value = _value(point)
    return "-" if value is None else f"{value:.3f} of {point.asked:,}"


def _value(point: HistoryPoint) -> float | None:
    return point.counts[State.PASSED] / point.asked if point.asked else None


def _drawn(point: HistoryPoint) -> float | None:
    """The accuracy of a run that requested every case; the part of an open run would stretch the scale."""
    return _value(point) if point.asked == point.plan.cases else None


def _chart(point: HistoryPoint, scale: Scale) -> str:
    """The accuracy as a dot on the axis, with the interval and the bar of its gate where the run has one."""
    cells = [" "] * _CHART
    verdict, value = point.accuracy_verdict, _drawn(point)
    if verdict and verdict.low is not None and verdict.high is not None:
        first, last = _column(verdict.low, scale), _column(verdict.high, scale)
        cells[first : last + 1] = "─" * (last + 1 - first)
    if verdict and (bar := _bar(verdict)) is not None:
        cells[_column(bar, scale)] = "│"
    if value is not None:
        cells[_column(value, scale)] = "●"
    return "".join(cells)


def _column(value: float, scale: Scale) -> int:
    low, high = scale
    return round((_CHART - 1) * (min(max(value, low), high) - low) / (high - low))


def _bar(verdict: VerdictRecord) -> float | None:
    return verdict.rule.bar if verdict.rule else None


def _row(point: HistoryPoint, scale: Scale) -> dict[str, Any]:
    verdict = point.accuracy_verdict
    ends = (verdict.low, verdict.high) if verdict else (None, None)
    markup = _point_markup(point)
    kind = "pass" if "green" in markup else "fail" if "red" in markup else "inconclusive"
    bar = _bar(verdict) if verdict else None
    value = _drawn(point)
    return {
        "id": point.manifest.id,
        "model": visible(point.manifest.target.title),
        "started": moment(point.manifest.created_at),
        "chart": "" if value is None else interval_svg(value, ends, scale=scale, kind=kind, bar=bar),
        "passed": _passed_words(point),
        "gates": _gates_word(point),
        "status": kind if markup else "",
        "doubt": point.doubt,
    }


def _point_json(point: HistoryPoint) -> dict[str, Any]:
    manifest = point.manifest
    return {
        "id": manifest.id,
        "model": manifest.target.model,
        "version": manifest.target.version or None,
        "created_at": manifest.created_at.isoformat(),
        "closed": manifest.closed,
        "doubt": point.doubt,
        "cases": point.plan.cases,
        "requested": point.asked,
        "passed": point.counts[State.PASSED],
        "errors": point.counts[State.ERROR],
        "verdicts": {verdict.gate: verdict.status for verdict in point.verdicts},
    }


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
    return f"{shorten(one.case, _ID)}: {_flaky_words(one)}, {shorten(one.model, _ID)}"


def _flaky_words(one: FlakyCase) -> str:
    mixed = f" ({one.mixed} with right and wrong attempts)" if one.mixed else ""
    return f"passed in {one.passed} of {_times(one.runs, 'run')}{mixed}"


def _lost_line(one: LostCase) -> str:
    return f"{shorten(one.case, _ID)}: {_lost_words(one)}"


def _lost_words(one: LostCase) -> str:
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
