"""The evaluated checkpoints of a job as terminal lines and as JSON, and a caution about the best one's accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.training.curves import valid_loss
from pytest_finetune.reports.redaction import failure_words
from pytest_finetune.reports.text import estimate, number, one_line, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.training.sweep import EvaluatedCheckpoint
    from pytest_finetune.reports.text import Line

_GREEN = {"green": True, "bold": True}


def sweep_lines(judged: Sequence[EvaluatedCheckpoint], best: EvaluatedCheckpoint | None) -> Iterator[Line]:
    """One line per checkpoint, then the best one, or that none passed."""
    rows = [
        (
            f"{one.checkpoint.step:,}",
            number(valid_loss(one.checkpoint.metrics)),
            estimate(one.accuracy.value, one.accuracy.interval),
            "{} of {}".format(*one.gates),
            "yes" if one.passes else "no",
            one.checkpoint.model,
        )
        for one in judged
    ]
    yield from table(("step", "valid loss", "accuracy (95 %)", "gates", "ships", "model"), rows, wide=5)
    for one in judged:
        yield from _problem_lines(one)
    if best is None:
        yield "no checkpoint passed every gate", {"red": True, "bold": True}
        return
    yield from wrapped(f"best: {one_line(best.checkpoint.model)}", _GREEN)
    yield f"  run {one_line(best.recorded.run.id)}", {}
    if caution := caution_of(judged, best):
        yield from wrapped(f"  {caution}", {"yellow": True})


def caution_of(judged: Sequence[EvaluatedCheckpoint], best: EvaluatedCheckpoint) -> str:
    """A warning that the accuracy of the best of several checkpoints is biased; empty for a single one."""
    if len(judged) == 1:
        return ""
    interval = best.accuracy.interval
    low = f" (it may be as low as {interval.low:.3f})" if interval else ""
    return (
        f"the accuracy of the best of {len(judged)} checkpoints on the same cases is biased upwards{low}, more so with "
        "more checkpoints: evaluate it on other cases, or rely on gates with `confidence`"
    )


def sweep_json(judged: Sequence[EvaluatedCheckpoint], best: EvaluatedCheckpoint | None) -> dict[str, Any]:
    """The comparison as JSON."""
    return {
        "checkpoints": [_judged_json(one) for one in judged],
        "best": best.checkpoint.model if best else None,
        "caution": (caution_of(judged, best) or None) if best else None,
    }


def _problem_lines(one: EvaluatedCheckpoint) -> Iterator[Line]:
    """The first gate of a checkpoint that did not pass, and why its evaluation stopped early."""
    if one.recorded.stopped:
        why = failure_words(one.recorded.stopped, redact=False)
        yield from wrapped(f"{one_line(one.checkpoint.model)}: {one_line(why)}", {"red": True})
    missed = [v for result in one.recorded.results for v in result.verdicts if v.status != "pass"]
    if missed and not one.passes:
        text = f"step {one.checkpoint.step}: {missed[0].gate}: {missed[0].message}"
        more = f" (and {len(missed) - 1} more gates)" if len(missed) > 1 else ""
        yield from wrapped(one_line(text) + more, {"yellow": True})


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
        "run": one.recorded.evaluation.run.id if one.recorded.evaluation.run else "",
        "stopped": failure_words(one.recorded.stopped, redact=False) if one.recorded.stopped else None,
        "verdicts": [
            {"eval_set": v.eval_set, "gate": v.gate, "status": v.status.value, "message": v.message}
            for result in one.recorded.results
            for v in result.verdicts
        ],
    }
