"""The history of an eval set as JSON, and for the template of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import State
from pytest_finetune.reports.comparison import answer_line, redacted_answer_line
from pytest_finetune.reports.history import (
    FLAKY,
    bar_of,
    drawn,
    flaky_words,
    gates_word,
    history_scale,
    lost_words,
    passed_words,
    point_markup,
)
from pytest_finetune.reports.page.charts import interval_svg
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.text import moment

if TYPE_CHECKING:
    from pytest_finetune.evaluation.runs.history import HistoryPoint, SetHistory
    from pytest_finetune.reports.page.charts import Scale


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
        "flaky": [(visible(one.case), visible(one.model), flaky_words(one)) for one in history.flaky],
        "lost": [(visible(one.case), visible(lost_words(one))) for one in history.lost],
        "meaning": FLAKY,
    }


def _row(point: HistoryPoint, scale: Scale) -> dict[str, Any]:
    verdict = point.accuracy_verdict
    ends = (verdict.low, verdict.high) if verdict else (None, None)
    markup = point_markup(point)
    kind = "pass" if "green" in markup else "fail" if "red" in markup else "inconclusive"
    bar = bar_of(verdict) if verdict else None
    value = drawn(point)
    return {
        "id": point.manifest.id,
        "model": visible(point.manifest.target.title),
        "started": moment(point.manifest.created_at),
        "chart": "" if value is None else interval_svg(value, ends, scale=scale, kind=kind, bar=bar),
        "passed": passed_words(point),
        "gates": gates_word(point),
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
