"""The checkpoints of a job side by side, the best one that passes, and how far to trust that it is the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.training.curves import valid_loss
from pytest_finetune.reports.registry import table
from pytest_finetune.reports.runs import folded, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.training.sweep import EvaluatedCheckpoint
    from pytest_finetune.reports.text import Line

_GREEN = {"green": True, "bold": True}


def sweep_lines(judged: Sequence[EvaluatedCheckpoint], best: EvaluatedCheckpoint | None) -> Iterator[Line]:
    """A line a checkpoint, then the best one, or why there is none."""
    rows = [
        (
            f"{one.checkpoint.step:,}",
            _loss(one),
            _accuracy(one),
            "{} of {}".format(*one.gates),
            "yes" if one.passes else "no",
            one.checkpoint.model,
        )
        for one in judged
    ]
    yield from table(("step", "valid loss", "accuracy (95 %)", "gates", "ships", "model"), rows, wide=5)
    for one in judged:
        yield from _open_lines(one)
    if best is None:
        yield "no checkpoint passes every gate", {"red": True, "bold": True}
        return
    yield from folded(f"best: {one_line(best.checkpoint.model)}", _GREEN)
    yield f"  run {one_line(best.recorded.run.id)}", {}
    if caution := caution_of(judged, best):
        yield from folded(f"  {caution}", {"yellow": True})


def caution_of(judged: Sequence[EvaluatedCheckpoint], best: EvaluatedCheckpoint) -> str:
    """What a choice among several by the same cases does to the figure of the chosen; empty where there was none."""
    if len(judged) == 1:
        return ""
    interval = best.accuracy.interval
    reach = f" and may be as low as {interval.low:.3f}" if interval else ""
    return (
        f"chosen as the best of {len(judged)} by the same cases, so its accuracy is flattered a little{reach}: the "
        "more checkpoints, the more. Judge it on cases that chose nothing, or let gates with `confidence` decide"
    )


def sweep_json(judged: Sequence[EvaluatedCheckpoint], best: EvaluatedCheckpoint | None) -> dict[str, Any]:
    """The same for programs."""
    return {
        "checkpoints": [_judged_json(one) for one in judged],
        "best": best.checkpoint.model if best else None,
        "caution": (caution_of(judged, best) or None) if best else None,
    }


def _open_lines(one: EvaluatedCheckpoint) -> Iterator[Line]:
    """Why gates of a checkpoint do not pass: the first of them, and what stopped the asking."""
    if one.recorded.stopped:
        yield from folded(f"{one_line(one.checkpoint.model)}: {one_line(one.recorded.stopped)}", {"red": True})
    missed = [v for result in one.recorded.results for v in result.verdicts if v.status != "pass"]
    if missed and not one.passes:
        text = f"step {one.checkpoint.step}: {missed[0].gate}: {missed[0].message}"
        more = f" (and {len(missed) - 1} more gates)" if len(missed) > 1 else ""
        yield from folded(one_line(text) + more, {"yellow": True})


def _judged_json(one: EvaluatedCheckpoint) -> dict[str, Any]:
    accuracy, interval = one.accuracy, one.accuracy.interval
    passed, gates = one.gates
    return {
        "model": one.checkpoint.model,
        "step": one.checkpoint.step,
        "valid_loss": valid_loss(one.checkpoint.metrics),
        "accuracy": {
            "value": accuracy.value,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "cases": accuracy.n,
        },
        "gates": {"passed": passed, "of": gates},
        "passes": one.passes,
        "run": one.recorded.run.id,
        "stopped": one.recorded.stopped or None,
        "verdicts": [
            {"eval_set": v.eval_set, "gate": v.gate, "status": v.status.value, "message": v.message}
            for result in one.recorded.results
            for v in result.verdicts
        ],
    }


def _loss(one: EvaluatedCheckpoint) -> str:
    loss = valid_loss(one.checkpoint.metrics)
    return "-" if loss is None else f"{loss:.4g}"


def _accuracy(one: EvaluatedCheckpoint) -> str:
    accuracy, interval = one.accuracy, one.accuracy.interval
    shown = "-" if accuracy.value is None else f"{accuracy.value:.3f}"
    return f"{shown} [{interval.low:.3f}, {interval.high:.3f}]" if interval else shown
