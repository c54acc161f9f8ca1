"""Data of the viewer's list and history, from the manifests alone: no answer is read, so a thousand runs are quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.evaluation.runs.reviews import reviews_of
from pytest_finetune.reports.page.charts import interval_svg, scale_of
from pytest_finetune.reports.page.strings import visible
from pytest_finetune.reports.page.wording import amount, between
from pytest_finetune.reports.reported import Gate
from pytest_finetune.reports.text import moment
from pytest_finetune.verdicts.evalset.gate_metrics import RATES
from pytest_finetune.verdicts.gates import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.reports.page.wording import Values

_WORST = (Status.FAIL, Status.INCOMPLETE, Status.INCONCLUSIVE, Status.PASS)

FILTERS = ("q", "set", "status")
"""Parameters of the address that choose runs: a text in the model or the id, an eval set, a verdict."""


def all_runs(store: RunStore) -> Iterator[Run]:
    """Every readable run, newest first."""
    for path in store.newest_first():
        try:
            yield Run.load(path)
        except RunError:
            continue


def list_view(runs: Iterable[Run], chosen: Mapping[str, str]) -> Values:
    """The rows of the list, and the values of its filters."""
    every = list(runs)
    shown = [run for run in every if _matches(run, chosen)]
    return {
        "rows": [_row(run) for run in shown],
        "total": len(every),
        "sets": sorted({visible(plan.name) for run in every for plan in run.manifest.eval_sets}),
        "statuses": [*map(str, _WORST), "not judged"],
        "chosen": {name: chosen.get(name, "") for name in FILTERS},
    }


def history_view(runs: Iterable[Run]) -> list[Values]:
    """Every gate of every eval set with its figures in each run, newest first, on one scale."""
    found: dict[tuple[str, str], list[tuple[Run, Gate]]] = {}
    for run in runs:
        for verdict in run.manifest.verdicts:
            found.setdefault((verdict.eval_set, verdict.gate), []).append((run, Gate(verdict, verdict.rule)))
    return [
        {"name": eval_set, "set": visible(eval_set), "gate": visible(gate), "rows": _history_rows(judged)}
        for (eval_set, gate), judged in sorted(found.items())
    ]


def _history_rows(judged: list[tuple[Run, Gate]]) -> list[Values]:
    ends = [end for _, gate in judged for end in (gate.verdict.value, gate.verdict.low, gate.verdict.high, gate.bar)]
    scale = scale_of(ends, rate=judged[0][1].metric in RATES)
    return [_history_row(run, gate, scale) for run, gate in judged]


def _history_row(run: Run, gate: Gate, scale: tuple[float, float]) -> Values:
    verdict = gate.verdict
    ends = verdict.low, verdict.high
    chart = interval_svg(verdict.value, ends, scale=scale, kind=verdict.status, bar=gate.bar)
    return {
        **_named(run),
        "status": verdict.status,
        "chart": chart if verdict.value is not None else "",
        "value": "–" if verdict.value is None else amount(verdict.value, gate.metric),
        "interval": between(*ends, gate.metric) or "–",
        "n": f"{verdict.planned:,}",
    }


def _row(run: Run) -> Values:
    totals = run.manifest.totals
    status = _status(run)
    return {
        **_named(run),
        "status": status,
        "verdicts": ", ".join(f"{count} {word}" for word in _WORST if (count := _count(run, word))) or "not judged",
        "sets": [visible(plan.name) for plan in run.manifest.eval_sets],
        "passed": f"{totals.passed:,} of {totals.planned:,}" if totals.planned else "–",
        "open": not run.manifest.closed,
        "reviews": len(reviews_of(run)),
    }


def _named(run: Run) -> Values:
    return {"id": run.id, "model": visible(run.manifest.target.title), "started": moment(run.manifest.created_at)}


def _matches(run: Run, chosen: Mapping[str, str]) -> bool:
    manifest = run.manifest
    text = f"{run.id}\n{visible(manifest.target.title)}\n{manifest.target.spec}".lower()
    names = [visible(plan.name) for plan in manifest.eval_sets]
    return (
        chosen.get("q", "").strip().lower() in text
        and chosen.get("set", "") in ("", *names)
        and chosen.get("status", "") in ("", _status(run))
    )


def _status(run: Run) -> str:
    """The worst verdict of its gates."""
    return next((str(word) for word in _WORST if _count(run, word)), "not judged")


def _count(run: Run, status: Status) -> int:
    return sum(verdict.status == status for verdict in run.manifest.verdicts)
