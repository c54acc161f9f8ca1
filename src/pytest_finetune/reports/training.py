"""Fine-tuning jobs as terminal lines and as JSON: the plan, the progress bar, the result, events and checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.training.advice import advice_for
from pytest_finetune.lifecycle.training.job import CANCELLED, FAILED, PAUSED, SUCCEEDED
from pytest_finetune.reports.progress import duration
from pytest_finetune.reports.text import dollars, field_lines, listed_counts, moment, number, one_line, table, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from pytest_finetune.lifecycle.data.check_result import CheckResult
    from pytest_finetune.lifecycle.training.curves import Pace
    from pytest_finetune.lifecycle.training.job import FineTuningCheckpoint, FineTuningEvent, FineTuningJob
    from pytest_finetune.lifecycle.training.money import TrainingPrices
    from pytest_finetune.lifecycle.training.plan import TrainingPlan
    from pytest_finetune.reports.text import Line

_BAR = 20
_SHOWN = 5
_COLOURS = {SUCCEEDED: "green", FAILED: "red", CANCELLED: "yellow", PAUSED: "yellow"}
_LEVELS = {"warn": "yellow", "warning": "yellow", "error": "red"}


def plan_lines(plan: TrainingPlan, *, model: str = "") -> Iterator[Line]:
    """A job before it starts: hyperparameters with their reasons, tokens, estimated cost."""
    yield f"{plan.suggestion.examples:,} examples" + (f" for {one_line(model)}" if model else ""), {"bold": True}
    for name, value in plan.suggestion.values.to_dict().items():
        yield from wrapped(f"  {name:<24}  {value!s:>4}  {plan.suggestion.reasons[name]}", indent=34)
    about = "" if plan.exact else "about "
    if plan.tokens is not None:
        passes = f", {plan.trained_tokens:,} in all epochs" if plan.trained_tokens is not None else ""
        estimate = "" if plan.exact else f" (estimated with {plan.tokenizer})"
        yield from wrapped(f"  tokens: {about}{plan.tokens:,} per epoch{passes}{estimate}")
    rate = f", at {dollars(plan.rate)} per 1M tokens" if plan.rate else ""
    more = f" without {listed_counts(plan.not_counted)}, which are not counted" if plan.not_counted else ""
    least = "at least " if plan.cost and more else about if plan.cost else ""
    yield from wrapped(f"  cost: {least}{dollars(plan.cost)}{rate}{more}", {"bold": True})
    if plan.note:
        yield from wrapped(f"  {one_line(plan.note)}", {"yellow": True})


def plan_json(plan: TrainingPlan) -> dict[str, Any]:
    """The plan as JSON; dollars are strings, or null if unknown."""
    return {
        "examples": plan.suggestion.examples,
        "hyperparameters": plan.suggestion.values.to_dict(),
        "reasons": dict(plan.suggestion.reasons),
        "tokens": plan.tokens,
        "trained_tokens": plan.trained_tokens,
        "not_counted": dict(plan.not_counted),
        "tokens_are": "exact" if plan.exact and not plan.not_counted else "estimated",
        "cost": None if plan.cost is None else f"{plan.cost:f}",
        "note": plan.note,
    }


def data_check_lines(result: CheckResult, arguments: str) -> Iterator[Line]:
    """The first errors in the data, and the number of findings; `arguments` of `data check` show them all."""
    from pytest_finetune.lifecycle.data.finding import Severity

    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    for finding in errors[:_SHOWN]:
        text = f"{finding.place}: {finding.code}: {finding.problem}; {finding.hint}"
        yield from wrapped(one_line(text), {"red": True})
    counted = [(count, severity.word) for severity, count in result.by_severity.items() if count]
    if counted:
        counts = ", ".join(f"{count:,} {word}{'s' if count > 1 and word != 'info' else ''}" for count, word in counted)
        command = f"pytest-finetune data check {arguments}"
        yield from wrapped(f"data: {counts}; details: {command}", {"red" if errors else "yellow": True})
    else:
        yield "data: no findings", {}


def bar_line(pace: Pace, job: FineTuningJob | None, now: datetime, width: int) -> str:
    """
    The progress of a job on one line of at most `width` columns; the least important parts go first.

    A job that has reported no step yet shows its status.
    """
    step = pace.last
    if step is None:
        return (one_line(job.status) if job else "waiting for the server")[:width]
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
    message = "; ".join(line.strip() for line in event.message.splitlines())
    return f"{when}{one_line(message)}", {colour: True} if colour else {}


def event_json(event: FineTuningEvent) -> dict[str, Any]:
    """An event as JSON."""
    return {
        "id": event.id,
        "created_at": _iso(event.created_at),
        "level": event.level,
        "message": event.message,
        "data": dict(event.data),
    }


def jobs_lines(jobs: Iterable[FineTuningJob]) -> Iterator[Line]:
    """Two lines per job: its id, status and time, then its base model and the fine-tuned model."""
    for job in jobs:
        when = f"  {moment(job.created_at)}" if job.created_at else ""
        yield f"{one_line(job.id)}  {one_line(job.status)}{when}", {"bold": True, **_colour(job)}
        result = f" -> {job.fine_tuned_model}" if job.fine_tuned_model else ""
        yield from wrapped(f"  {one_line(job.model + result)}")


def job_lines(job: FineTuningJob, prices: TrainingPrices) -> Iterator[Line]:
    """A job: its model, hyperparameters and cost; if it failed, the error and advice."""
    yield f"{one_line(job.id)} {one_line(job.status)}", {"bold": True, **_colour(job)}
    if job.fault:
        code = f"{job.fault.code}: " if job.fault.code else ""
        # Some servers list the faults of a file, one per line.
        for line in (code + job.fault.message).splitlines():
            yield from field_lines("error", line.strip(), {"red": True})
    if job.status == FAILED:
        code, message, param = (job.fault.code, job.fault.message, job.fault.param) if job.fault else ("", "", "")
        # Our own text, so it is not cut as `field_lines` would cut it.
        yield from wrapped(f"  {'advice':<12}  {advice_for(code, message, param)}", indent=16)
    yield from field_lines("model", job.fine_tuned_model)
    used = ", ".join(f"{name} {value}" for name, value in job.hyperparameters.items())
    yield from field_lines("tuned with", used + (f", seed {job.seed}" if job.seed is not None else ""))
    if job.trained_tokens is not None:
        cost = dollars(prices.job_cost(job))
        yield from field_lines("trained", f"{job.trained_tokens:,} tokens, cost {cost}")


def job_json(job: FineTuningJob, prices: TrainingPrices) -> dict[str, Any]:
    """A job as JSON."""
    cost = prices.job_cost(job)
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
    """One line per checkpoint: step, losses, model."""
    rows = [(f"{one.step:,}", *(_figure(one, *names) for names in _FIGURES.values()), one.model) for one in checkpoints]
    yield from table(("step", *_FIGURES, "model"), rows, wide=len(_FIGURES) + 1)


def checkpoint_json(checkpoint: FineTuningCheckpoint) -> dict[str, Any]:
    """A checkpoint as JSON."""
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
    "valid accuracy": ("full_valid_mean_token_accuracy", "valid_mean_token_accuracy"),
}
"""Columns of the table of checkpoints, each with the metric names that servers use, the preferred one first."""


def _figure(checkpoint: FineTuningCheckpoint, *names: str) -> str:
    return number(next((checkpoint.metrics[name] for name in names if name in checkpoint.metrics), None))


def _colour(job: FineTuningJob) -> dict[str, bool]:
    colour = _COLOURS.get(job.status)
    return {colour: True} if colour else {}


def _iso(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
