"""Fine-tuning jobs as people read them: the plan before, the bar meanwhile, the outcome after, and lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.training.advice import advice_for
from pytest_finetune.lifecycle.training.job import CANCELLED, FAILED, PAUSED, SUCCEEDED
from pytest_finetune.lifecycle.training.money import job_cost
from pytest_finetune.reports.progress import duration
from pytest_finetune.reports.registry import table
from pytest_finetune.reports.runs import field_lines, folded, moment, one_line
from pytest_finetune.reports.text import dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from pytest_finetune.lifecycle.data.check import CheckResult
    from pytest_finetune.lifecycle.training.curves import Pace
    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint, FineTuningEvent, FineTuningJob
    from pytest_finetune.lifecycle.training.plan import TrainingPlan
    from pytest_finetune.reports.text import Line

_BAR = 20
_SHOWN = 5
_COLOURS = {SUCCEEDED: "green", FAILED: "red", CANCELLED: "yellow", PAUSED: "yellow"}
_LEVELS = {"warn": "yellow", "warning": "yellow", "error": "red"}


def plan_lines(plan: TrainingPlan, *, model: str = "") -> Iterator[Line]:
    """What a training will be: each hyperparameter with its reason, tokens, price."""
    yield f"{plan.suggestion.examples:,} examples" + (f" for {one_line(model)}" if model else ""), {"bold": True}
    for name, value in plan.suggestion.values.to_dict().items():
        yield from folded(f"  {name:<24}  {value!s:>4}  {plan.suggestion.reasons[name]}", {}, indent=34)
    about = "" if plan.exact else "about "
    if plan.tokens is not None:
        passes = f", {plan.trained_tokens:,} over all passes" if plan.trained_tokens is not None else ""
        estimate = "" if plan.exact else f" (by {plan.tokenizer}, which stands in for the model's own)"
        yield from folded(f"  tokens: {about}{plan.tokens:,} a pass{passes}{estimate}", {})
    rate = f", at {dollars(plan.rate)} for a million tokens" if plan.rate else ""
    yield from folded(f"  cost: {about if plan.cost else ''}{dollars(plan.cost)}{rate}", {"bold": True})
    if plan.note:
        yield from folded(f"  {one_line(plan.note)}", {"yellow": True})


def plan_json(plan: TrainingPlan) -> dict[str, Any]:
    """The same for programs; dollars are text, and null where they are unknown."""
    return {
        "examples": plan.suggestion.examples,
        "hyperparameters": plan.suggestion.values.to_dict(),
        "reasons": dict(plan.suggestion.reasons),
        "tokens": plan.tokens,
        "trained_tokens": plan.trained_tokens,
        "tokens_are": "exact" if plan.exact else "estimated",
        "cost": None if plan.cost is None else f"{plan.cost:f}",
        "note": plan.note,
    }


def check_lines(result: CheckResult, files: Sequence[str]) -> Iterator[Line]:
    """What is wrong with the data: the first errors, and how many findings there are."""
    from pytest_finetune.lifecycle.data.finding import Severity

    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    for finding in errors[:_SHOWN]:
        text = f"{finding.place}: {finding.code}: {finding.problem}; {finding.hint}"
        yield from folded(one_line(text), {"red": True})
    counted = [(count, severity.word) for severity, count in result.by_severity.items() if count]
    if counted:
        told = ", ".join(f"{count:,} {word}{'s' if count > 1 and word != 'info' else ''}" for count, word in counted)
        command = f"pytest-finetune data check {' '.join(files)}"
        yield from folded(f"data: {told}; see all: {command}", {"red" if errors else "yellow": True})
    else:
        yield "data: nothing found against it", {}


def bar_line(pace: Pace, job: FineTuningJob | None, now: datetime, width: int) -> str:
    """
    How far a job is, on one line of at most `width` columns; what matters least goes first where there is no room.

    A job that has reported no step yet shows its status.
    """
    step = pace.last
    if step is None:
        return (one_line(job.status) if job else "asking the server")[:width]
    left = pace.left(job, now)
    of = f"/{step.total:,}" if step.total else ""
    done = round(_BAR * min(1.0, step.step / step.total)) if step.total else 0
    parts = [
        (3, f"[{'#' * done}{'-' * (_BAR - done)}]" if step.total else ""),
        (0, f"step {step.step:,}{of}"),
        (2, f"loss {step.train:.4g}" if step.train is not None else ""),
        (4, f"valid {pace.valid:.4g}" if pace.valid is not None else ""),
        (1, f"{duration(left)} left" if left is not None else ""),
    ]
    parts = [part for part in parts if part[1]]
    while len(line := "  ".join(text for _, text in parts)) > width and len(parts) > 1:
        parts.remove(max(parts))
    return line[:width]


def event_line(event: FineTuningEvent) -> Line:
    """An event on one line, with its time."""
    when = f"{event.created_at:%H:%M:%S}  " if event.created_at else ""
    colour = _LEVELS.get(event.level)
    return f"{when}{one_line(event.message)}", {colour: True} if colour else {}


def event_json(event: FineTuningEvent) -> dict[str, Any]:
    """An event for programs."""
    return {
        "id": event.id,
        "created_at": _iso(event.created_at),
        "level": event.level,
        "message": event.message,
        "data": dict(event.data),
    }


def jobs_lines(jobs: Iterable[FineTuningJob]) -> Iterator[Line]:
    """Two lines a job: its name, status and time, and below what it makes of what."""
    for job in jobs:
        when = f"  {moment(job.created_at)}" if job.created_at else ""
        yield f"{one_line(job.id)}  {one_line(job.status)}{when}", {"bold": True, **_colour(job)}
        made = f" -> {job.fine_tuned_model}" if job.fine_tuned_model else ""
        yield from folded(f"  {one_line(job.model + made)}", {})


def job_lines(job: FineTuningJob, base_url: str) -> Iterator[Line]:
    """What came of a job: the model, what it was trained with, the price; or why nothing did, and what to do."""
    yield f"{one_line(job.id)} {one_line(job.status)}", {"bold": True, **_colour(job)}
    if job.fault:
        code = f"{job.fault.code}: " if job.fault.code else ""
        yield from field_lines("because", code + job.fault.message, {"red": True})
    if job.status == FAILED:
        code, message, param = (job.fault.code, job.fault.message, job.fault.param) if job.fault else ("", "", "")
        # Not shortened: the advice is ours.
        yield from folded(f"  {'what to do':<12}  {advice_for(code, message, param)}", {}, indent=16)
    yield from field_lines("model", job.fine_tuned_model)
    used = ", ".join(f"{name} {value}" for name, value in job.hyperparameters.items())
    yield from field_lines("tuned with", used + (f", seed {job.seed}" if job.seed is not None else ""))
    if job.trained_tokens is not None:
        cost = dollars(job_cost(base_url, job))
        yield from field_lines("trained", f"{job.trained_tokens:,} tokens, cost {cost}")


def job_json(job: FineTuningJob, base_url: str) -> dict[str, Any]:
    """A job for programs."""
    cost = job_cost(base_url, job)
    fault = job.fault
    return {
        "id": job.id,
        "status": job.status,
        "model": job.model,
        "fine_tuned_model": job.fine_tuned_model or None,
        "created_at": _iso(job.created_at),
        "finished_at": _iso(job.finished_at),
        "training_file": job.training_file,
        "validation_file": job.validation_file or None,
        "hyperparameters": dict(job.hyperparameters),
        "seed": job.seed,
        "trained_tokens": job.trained_tokens,
        "cost": None if cost is None or job.trained_tokens is None else f"{cost:f}",
        "error": None
        if fault is None
        else {"code": fault.code, "message": fault.message, "param": fault.param or None},
        "advice": advice_for(fault.code, fault.message, fault.param) if fault else None,
        "metadata": dict(job.metadata),
    }


def checkpoints_lines(checkpoints: Sequence[FineTuningCheckpoint]) -> Iterator[Line]:
    """A line a checkpoint: its step, its losses, its model."""
    rows = [(f"{one.step:,}", *(_figure(one, *names) for names in _FIGURES.values()), one.model) for one in checkpoints]
    yield from table(("step", *_FIGURES, "model"), rows, wide=len(_FIGURES) + 1)


def checkpoint_json(checkpoint: FineTuningCheckpoint) -> dict[str, Any]:
    """A checkpoint for programs."""
    return {
        "id": checkpoint.id,
        "step": checkpoint.step,
        "model": checkpoint.model,
        "created_at": _iso(checkpoint.created_at),
        "metrics": dict(checkpoint.metrics),
    }


_FIGURES = {
    "train loss": ("train_loss",),
    "valid loss": ("full_valid_loss", "valid_loss"),
    "valid tokens right": ("full_valid_mean_token_accuracy", "valid_mean_token_accuracy"),
}
"""The columns of the table of checkpoints, each with the names that servers give it, the best first."""


def _figure(checkpoint: FineTuningCheckpoint, *names: str) -> str:
    return next((f"{checkpoint.metrics[name]:.4g}" for name in names if name in checkpoint.metrics), "-")


def _colour(job: FineTuningJob) -> dict[str, bool]:
    colour = _COLOURS.get(job.status)
    return {colour: True} if colour else {}


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
