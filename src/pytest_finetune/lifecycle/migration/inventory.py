"""The models that an account, a registry and a code base use, with the days that each has left."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.lifecycle.migration.model_mentions import find_mentions
from pytest_finetune.lifecycle.registry.sunset import ServerDates, announced, announced_by_azure, shutdown_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta
    from pathlib import Path

    from pytest_finetune.lifecycle.registry import Registry
    from pytest_finetune.lifecycle.registry.sunset import Shutdown
    from pytest_finetune.lifecycle.training.job import FineTuningJob


@dataclass(frozen=True, slots=True)
class UsedModel:
    """
    One model that is in use somewhere.

    Args:
        model: Its id.
        found_in: Where it was found: `account`, `job ftjob-1 (succeeded)`, `v1 (production)`, `src/app.py:12`.
        shutdown: When it is shut down; None if no date is known, which does not mean that there is none.
        unreadable: The date as the server sent it, if it could not be read.
    """

    model: str
    found_in: tuple[str, ...]
    shutdown: Shutdown | None = None
    unreadable: str = ""

    def is_ending(self, within: timedelta, *, now: datetime) -> bool:
        """It is shut down within a time, or was already, or its date cannot be read."""
        return bool(self.unreadable) or (self.shutdown is not None and self.shutdown.days_left(now) <= within.days)


@dataclass(frozen=True, slots=True)
class Account:
    """
    What a server reported.

    Args:
        listed: Its model list, with the shutdown dates.
        jobs: Its fine-tuning jobs.
        on_azure: It is Azure's, whose dates are others than OpenAI's.
        own_server: Neither OpenAI's nor Azure's: all its models are the user's.
    """

    listed: ServerDates = field(default_factory=ServerDates)
    jobs: tuple[FineTuningJob, ...] = ()
    on_azure: bool = False
    own_server: bool = False


def take_inventory(
    *, folder: Path | None, registry: Registry, account: Account, skip: Path | None = None
) -> list[UsedModel]:
    """
    The models in use, the first to be shut down first, those without a known date last.

    Of the account's models its fine-tunes count; a base model is in use if code, a version or a job names it.

    Args:
        folder: Searched for model ids; None searches no files.
        registry: Its versions count, also deprecated and rejected ones.
        account: What the server reported; empty if it was not asked.
        skip: The registry's own file, which is not searched.
    """
    places: dict[str, list[str]] = {}
    ends: dict[str, Shutdown | None] = {}
    for version, entry in registry.entries.items():
        _add(places, entry.model_id, f"{version} ({entry.status})")
        ends[entry.model_id] = shutdown_of(entry, account.listed)
    for model in account.listed.models:
        if model.startswith("ft:") or ".ft-" in model:
            _add(places, model, "account")
    for job in account.jobs:
        for model in (job.fine_tuned_model, job.model):
            _add(places, model, f"job {job.id} ({job.status})")
    for mention in find_mentions(folder, skip=skip) if folder else ():
        _add(places, mention.model, f"{mention.path}:{mention.line}")
    found = [
        UsedModel(
            model,
            tuple(dict.fromkeys(where)),
            ends[model] if model in ends else _shutdown(model, account),
            account.listed.unreadable.get(model, ""),
        )
        for model, where in places.items()
    ]
    return sorted(found, key=lambda one: (one.shutdown.date if one.shutdown else date.max, one.model))


def ending(found: Iterable[UsedModel], *, within: timedelta, now: datetime) -> list[UsedModel]:
    """The models that are shut down within a time, or were already, or whose date cannot be read."""
    return [one for one in found if one.is_ending(within, now=now)]


def _add(places: dict[str, list[str]], model: str, where: str) -> None:
    if model:
        places.setdefault(model, []).append(where)


def _shutdown(model: str, account: Account) -> Shutdown | None:
    table = announced_by_azure if account.on_azure else announced
    return account.listed.shutdown_of(model, base_of(model)) or table(model)
