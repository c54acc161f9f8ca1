"""The models in use and what is left of them, and what a run gave as training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_finetune.lifecycle.migration.steps import DONE, NEXT
from pytest_finetune.reports.registry import last_fine_tuning_day, time_left
from pytest_finetune.reports.text import listed_counts, one_line, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from pytest_finetune.lifecycle.migration.candidates import Candidate
    from pytest_finetune.lifecycle.migration.distil import Distilled
    from pytest_finetune.lifecycle.migration.inventory import UsedModel
    from pytest_finetune.lifecycle.migration.steps import Step
    from pytest_finetune.reports.text import Line

FEW = 3
"""Places shown for each model."""


def inventory_lines(found: Sequence[UsedModel], *, now: datetime, every_place: bool = False) -> Iterator[Line]:
    """The models, each with its date and the places where it was found."""
    if not found:
        yield "no model found", {}
        return
    for one in found:
        left = one.shutdown.days_left(now) if one.shutdown else None
        yield one_line(one.model), {"bold": True}
        yield from wrapped(f"  {ending_words(one, now)}", {"red" if left is not None and left <= 0 else "yellow": True})
        shown = one.found_in if every_place else one.found_in[:FEW]
        rest = len(one.found_in) - len(shown)
        yield from wrapped(f"  in {', '.join(map(one_line, shown))}{f' and {rest:,} more' if rest else ''}")
    shutdowns = [one.shutdown for one in found if one.shutdown]
    for source in dict.fromkeys(shutdown.source for shutdown in shutdowns):
        yield from wrapped(f"source of dates: {source}")
    yield from last_fine_tuning_day(shutdowns, now=now)


def inventory_json(one: UsedModel, *, now: datetime) -> dict[str, Any]:
    """One model as JSON; `shutdown_date` and `days_left` are null if no date is known."""
    shutdown = one.shutdown
    return {
        "model": one.model,
        "found_in": list(one.found_in),
        "shutdown_date": shutdown.date.isoformat() if shutdown else None,
        "days_left": shutdown.days_left(now) if shutdown else None,
        "source": shutdown.source if shutdown else None,
        "unreadable_date": one.unreadable or None,
    }


def distilled_lines(distilled: Distilled, path: str) -> Iterator[Line]:
    """How many examples were written, and why the other cases gave none."""
    count = len(distilled.rows)
    yield f"{count:,} example{'' if count == 1 else 's'} written to {one_line(path)}", {"bold": True}
    if distilled.left_out:
        yield from wrapped(f"left out: {listed_counts(distilled.left_out)}")


def candidates_lines(found: Sequence[Candidate], model: str) -> Iterator[Line]:
    """Models that could replace one, each with the reason."""
    if not found:
        yield from wrapped(f"no candidate for {one_line(model)} is known; --ask lists the account or the server")
        return
    for one in found:
        yield one_line(one.model), {"bold": True}
        missing = "; not in the server's list" if one.listed is False else ""
        yield from wrapped(f"  {one_line(one.reason)}{missing}")
    for source in dict.fromkeys(one.source for one in found if one.source):
        yield from wrapped(f"source of the recommendation: {source}")


def candidates_json(one: Candidate) -> dict[str, Any]:
    """One candidate as JSON; `listed` is null if the server was not asked."""
    return {
        "model": one.model,
        "kind": one.kind,
        "reason": one.reason,
        "source": one.source or None,
        "listed": one.listed,
    }


def steps_lines(steps: Sequence[Step]) -> Iterator[Line]:
    """The steps of a migration, each with its state, and the command of the next one."""
    for step in steps:
        colour = {"green": True} if step.state == DONE else {"bold": True} if step.state == NEXT else {}
        yield from wrapped(f"{step.name:<10}  {step.state:<10}  {one_line(step.detail)}", colour)
    if found := next((step for step in steps if step.state == NEXT), None):
        # Not wrapped: it is copied.
        yield f"next: {found.command}", {"yellow": True}


def steps_json(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as JSON; `command` is null if there is nothing to run."""
    return [
        {"step": step.name, "state": step.state, "detail": step.detail, "command": step.command or None}
        for step in steps
    ]


def ending_words(one: UsedModel, now: datetime) -> str:
    """When a model is shut down: `is shut down on 2027-01-14 (in 46 days)`."""
    if one.unreadable:
        return f"its server's shutdown date cannot be read: {one.unreadable}"
    if one.shutdown is None:
        return "no shutdown date known"
    words = "was shut down" if one.shutdown.days_left(now) < 0 else "is shut down"
    of = f" with {one.shutdown.model}" if one.shutdown.model != one.model else ""
    return f"{words} on {one.shutdown.date} ({time_left(one.shutdown, now)}){of}"
