"""Whether the model of a version is shut down too soon for a promotion."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.sunset import shutdown_of

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_finetune.lifecycle.registry.entry import Entry
    from pytest_finetune.lifecycle.registry.sunset import Shutdown

REFUSED_WITHIN = timedelta(days=7)
"""A version whose model is shut down within this time, or was already, is refused."""

WARNED_WITHIN = timedelta(days=90)
"""A version whose model is shut down within this time gets a warning."""


def shutdown_faults(entry: Entry, *, now: datetime) -> list[str]:
    """A reason to refuse a version whose model is shut down within `REFUSED_WITHIN`."""
    shutdown = shutdown_of(entry)
    return [_clause(shutdown, now)] if shutdown and shutdown.days_left(now) <= REFUSED_WITHIN.days else []


def shutdown_cautions(entry: Entry, *, now: datetime) -> list[str]:
    """A warning that the model of a version is shut down soon, or was; for a rollback, which needs no new evidence."""
    shutdown = shutdown_of(entry)
    return [_clause(shutdown, now)] if shutdown and shutdown.days_left(now) <= WARNED_WITHIN.days else []


def _clause(shutdown: Shutdown, now: datetime) -> str:
    return f"{shutdown.model} {_ends(shutdown.days_left(now))} ({shutdown.date}, {shutdown.source})"


def _ends(days: int) -> str:
    if days < 0:
        return "was switched off"
    return "is switched off today" if not days else f"is switched off in {days} day{'s' if days > 1 else ''}"
