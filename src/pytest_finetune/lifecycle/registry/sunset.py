"""When a model is switched off, and which versions go with it: what the server says first, then the announced dates."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.evaluation.targets.answers import clean
from pytest_finetune.lifecycle.registry.entry import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_finetune.lifecycle.registry.entry import Entry, Registry

SOURCE = "https://developers.openai.com/api/docs/deprecations"
"""OpenAI's list of announced shutdowns; fine-tunes go with the model they are built on."""

LAST_FINE_TUNING_DAY = date(2027, 1, 6)
"""After this day OpenAI starts no self-serve fine-tuning job any more (announced 2026-05-07, `SOURCE`)."""

ANNOUNCED: Mapping[str, date] = MappingProxyType(
    {
        # Announced 2026-04-22.
        "gpt-3.5-turbo": date(2026, 10, 23),
        "gpt-4": date(2026, 10, 23),
        "gpt-4-turbo": date(2026, 10, 23),
        "gpt-4o-2024-05-13": date(2026, 10, 23),
        "gpt-4.1-nano": date(2026, 10, 23),
        "o4-mini": date(2026, 10, 23),
        # Announced 2026-06-11.
        "gpt-5": date(2026, 12, 11),
        "gpt-5-mini": date(2026, 12, 11),
        "gpt-5-nano": date(2026, 12, 11),
        # Announced 2026-10-14.
        "gpt-4o": date(2027, 1, 14),
        "gpt-4o-mini": date(2027, 1, 14),
        "gpt-4.1": date(2027, 1, 14),
        "gpt-4.1-mini": date(2027, 1, 14),
    }
)
"""First day without the model, by family or, where one snapshot goes at another time, by its full id."""

_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})(?:-preview)?\Z", re.ASCII)
_LIVE = (Status.CANDIDATE, Status.CANARY, Status.PRODUCTION)


@dataclass(frozen=True, slots=True)
class Shutdown:
    """
    The end of a model.

    Args:
        date: First day on which it answers nobody (UTC).
        model: The id that the date was found under: the version's own, or that of its base model.
        source: `the models endpoint`, `the registry`, or the address of the announcement.
    """

    date: date
    model: str
    source: str

    def days_left(self, now: datetime) -> int:
        """Whole days until then; 0 on the day itself, negative after it."""
        return (self.date - now.astimezone(UTC).date()).days


@dataclass(frozen=True, slots=True)
class Going:
    """A version in use, or kept to fall back on, whose model is switched off."""

    version: str
    entry: Entry
    shutdown: Shutdown


def announced(model: str) -> Shutdown | None:
    """The announced end of an OpenAI model or of a fine-tune on one, by the built-in table."""
    base = base_of(model)
    found = ANNOUNCED.get(base) or ANNOUNCED.get(_DATE.sub("", base))
    return Shutdown(found, base, SOURCE) if found else None


def shutdown_of(entry: Entry, told: Mapping[str, date] = MappingProxyType({})) -> Shutdown | None:
    """
    When a version is switched off: as its server told, else as its entry says, else as was announced.

    Args:
        entry: The version; that of its base model is its own end too.
        told: Dates by model id, from `ask_shutdown_dates`.
    """
    names = [name for name in (entry.model_id, entry.base_model, base_of(entry.model_id)) if name]
    for name in names:
        if name in told:
            return Shutdown(told[name], name, "the models endpoint")
    if entry.shutdown_date is not None:
        return Shutdown(_day(entry.shutdown_date), entry.model_id, "the registry")
    if _own_calendar(entry):
        return None
    return next((found for name in names if (found := announced(name))), None)


def going(
    registry: Registry, *, within: timedelta, now: datetime, told: Mapping[str, date] = MappingProxyType({})
) -> list[Going]:
    """
    What depends on a model that is gone or goes within a time, the soonest first.

    Candidates, canary, production and the fallback of the rollout count; a deprecated or rejected version harms
    nobody by going.
    """
    found = [
        Going(version, entry, shutdown)
        for version, entry in registry.entries.items()
        if entry.status in _LIVE or version == registry.rollout.fallback
        if (shutdown := shutdown_of(entry, told)) and shutdown.days_left(now) <= within.days
    ]
    return sorted(found, key=lambda one: (one.shutdown.date, one.version))


def ask_shutdown_dates() -> dict[str, date]:
    """
    The `shutdown_date` of every model that the server of the environment lists, where it gives one.

    Raises:
        RegistryError: The server cannot be asked.
    """
    import openai

    try:
        with openai.OpenAI(timeout=30, max_retries=2) as client:
            # The client's own reading takes whatever it is sent for models, and breaks on what is no JSON.
            text = client.models.with_raw_response.list().text
    except openai.OpenAIError as error:
        raise _no_list(clean(str(error))) from error
    models = _listed(text)
    if models is None:
        raise _no_list("what came is no list of models")
    dates = {str(model.get("id", "")): _parsed(model.get("shutdown_date")) for model in models}
    return {name: day for name, day in dates.items() if day and name}


def _listed(text: str) -> list[dict[str, object]] | None:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    models = body.get("data") if isinstance(body, dict) else None
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else None


def _no_list(problem: str) -> RegistryError:
    hint = "check OPENAI_API_KEY and OPENAI_BASE_URL, or leave --ask out"
    return RegistryError(f"the server told no models: {problem}", "GET /models", hint)


def _parsed(text: object) -> date | None:
    """A date in ISO form, a time after it left out; anything else tells nothing."""
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None


def _day(when: datetime) -> date:
    # One without a zone was written by a person, who meant the day.
    return when.astimezone(UTC).date() if when.tzinfo else when.date()


def _own_calendar(entry: Entry) -> bool:
    """Served by somebody who keeps his own dates: weights at hand, or Azure."""
    host = urlsplit(entry.base_url).hostname or ""
    return entry.model_id.startswith("local:") or host.endswith(".azure.com")
