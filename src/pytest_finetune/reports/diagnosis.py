"""A diagnosis as terminal lines, with its losses drawn as sparklines, and as JSON."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.training.diagnosis import Conclusion
from pytest_finetune.reports.text import estimate, number, one_line, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.lifecycle.training.curves import Curves
    from pytest_finetune.lifecycle.training.diagnosis import Diagnosis, DiagnosisFinding
    from pytest_finetune.lifecycle.training.evidence import DiagnosisEvidence, LearningPoint, Rate
    from pytest_finetune.reports.text import Line

_MARKS = "▁▂▃▄▅▆▇█"
_COLOURS = {Conclusion.YES: "red", Conclusion.NO: "green", Conclusion.UNKNOWN: "yellow"}
_DRAWN = 42
_STEEP = 20
"""If the largest loss is more than this many times the smallest, the scale is logarithmic."""


def diagnosis_lines(name: str, diagnosis: Diagnosis, evidence: DiagnosisEvidence) -> Iterator[Line]:
    """The verdict, then each finding with evidence and remedies, the losses and the checkpoints."""
    yield f"{one_line(name)}: {diagnosis.verdict}", {"bold": True, _verdict_colour(diagnosis): True}
    for finding in diagnosis.findings:
        yield from _finding_lines(finding)
    yield from curve_lines(evidence.curves)
    yield from _learning_lines(evidence.learning)


def curve_lines(curves: Curves) -> Iterator[Line]:
    """Training and validation loss, each as a sparkline from the first step to the last."""
    named = [(name, points) for name, points in (("training", curves.train), ("validation", curves.valid)) if points]
    if not named:
        return
    losses = [loss for _, points in named for _, loss in points]
    steep = is_steep(losses)
    yield f"losses, steps {_span(curves)}{', log scale' if steep else ''}", {"bold": True}
    for name, points in named:
        first, last = points[0][1], points[-1][1]
        drawn = sparkline([loss for _, loss in points], min(losses), max(losses), steep=steep)
        yield f"  {name:<10}  {drawn}  {first:.4g} -> {last:.4g}", {}


def sparkline(values: Sequence[float], low: float, high: float, *, steep: bool = False) -> str:
    """Values as bars on a scale from `low` to `high`; with more than `_DRAWN` values, a bar is a mean."""
    parts = min(_DRAWN, len(values))
    means = []
    for part in range(parts):
        some = values[len(values) * part // parts : len(values) * (part + 1) // parts]
        means.append(sum(some) / len(some))
    return "".join(_MARKS[round(height(mean, low, high, steep=steep) * (len(_MARKS) - 1))] for mean in means)


def is_steep(losses: Sequence[float]) -> bool:
    """Whether the range of the losses is so large that a linear scale would show the end as a flat line."""
    return min(losses) > 0 and max(losses) > _STEEP * min(losses)


def height(value: float, low: float, high: float, *, steep: bool) -> float:
    """The position of a value between `low` and `high`, in [0, 1]; on a log scale if `steep`."""
    if high <= low:
        return 0.0
    share = log(value / low) / log(high / low) if steep else (value - low) / (high - low)
    return min(1.0, max(0.0, share))


def diagnosis_json(model: str, diagnosis: Diagnosis, evidence: DiagnosisEvidence) -> dict[str, Any]:
    """The diagnosis as JSON."""
    gap = evidence.gap
    return {
        "model": model,
        "verdict": diagnosis.verdict,
        "healthy": diagnosis.is_healthy,
        "findings": [
            {
                "kind": finding.kind.value,
                "answer": finding.answer.value,
                "evidence": list(finding.evidence),
                "remedies": list(finding.remedies),
            }
            for finding in diagnosis.findings
        ],
        "accuracy": {"eval": _rate_json(evidence.accuracy), "training": _rate_json(evidence.training)},
        "gap": {"low": gap.low, "high": gap.high} if gap else None,
        "format_failures": {kind.value: count for kind, count in evidence.failures.items()},
        "losses": [{"step": p.step, "train": p.train, "valid": p.valid} for p in evidence.curves.points],
        "checkpoints": [
            {"step": p.step, "model": p.model, "valid_loss": p.valid_loss, "accuracy": _rate_json(p.accuracy)}
            for p in evidence.learning
        ],
    }


def _finding_lines(finding: DiagnosisFinding) -> Iterator[Line]:
    yield f"{finding.kind}: {finding.answer}", {"bold": True, _COLOURS[finding.answer]: True}
    for fact in finding.evidence:
        yield from wrapped(f"  {fact}")
    for remedy in finding.remedies:
        yield from wrapped(f"  - try {remedy}")


def _learning_lines(learning: Sequence[LearningPoint]) -> Iterator[Line]:
    if not learning:
        return
    yield "checkpoints", {"bold": True}
    rows = [(f"{p.step:,}", number(p.valid_loss), accuracy_cell(p.accuracy), p.model) for p in learning]
    yield from table(("step", "valid loss", "accuracy (95 %)", "model"), rows, wide=3)
    if not any(point.accuracy for point in learning):
        yield from wrapped("the checkpoints have not been evaluated; `pytest-finetune train sweep JOB` does that")


def accuracy_cell(rate: Rate | None) -> str:
    """An accuracy with its interval, for a table."""
    return estimate(rate.value, rate.interval) if rate else "-"


def _span(curves: Curves) -> str:
    steps = [point.step for point in curves.points]
    return f"{steps[0]:,} to {steps[-1]:,}"


def _verdict_colour(diagnosis: Diagnosis) -> str:
    return "red" if diagnosis.found else "green" if diagnosis.is_healthy else "yellow"


def _rate_json(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    interval = rate.interval
    return {"value": rate.value, "cases": rate.cases, "low": interval.low, "high": interval.high}
