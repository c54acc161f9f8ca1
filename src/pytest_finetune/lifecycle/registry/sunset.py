"""When a model is shut down, and which versions depend on it. A date from the server precedes the announced one."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pytest_finetune.base.errors import RegistryError
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.base.text import shown
from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
from pytest_finetune.evaluation.targets.official_client import make_client
from pytest_finetune.evaluation.targets.openai import DEFAULT_BASE_URL
from pytest_finetune.lifecycle.registry.announcements import (
    ANNOUNCED,
    AZURE_ANNOUNCED,
    AZURE_FINE_TUNES,
    AZURE_SOURCE,
    SOURCE,
)
from pytest_finetune.lifecycle.registry.entry import VersionStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_finetune.lifecycle.registry.entry import Entry, Registry

T = TypeVar("T")

_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})(?:-preview)?\Z", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)", re.ASCII)
_END_NAMES = ("shutdown_date", "deprecation", "deprecation_date", "expiration_date", "retirement_date", "sunset_date")
"""OpenAI's name first; `deprecation` is that of Azure and Mistral, `expiration_date` that of OpenRouter."""

_IN_USE = (VersionStatus.CANDIDATE, VersionStatus.CANARY, VersionStatus.PRODUCTION)


@dataclass(frozen=True, slots=True)
class Shutdown:
    """
    The shutdown of a model.

    Args:
        date: First day on which the model is unavailable (UTC).
        model: Id that the date is for: the version's own model, or its base model.
        source: `the models endpoint`, `the registry`, or the URL of the announcement.
    """

    date: date
    model: str
    source: str

    def days_left(self, now: datetime) -> int:
        """Whole days until the shutdown; 0 on the day itself, negative after it."""
        return (self.date - now.astimezone(UTC).date()).days


@dataclass(frozen=True, slots=True)
class RetiringVersion:
    """A version in use whose model is being shut down."""

    version: str
    entry: Entry
    shutdown: Shutdown


@dataclass(frozen=True, slots=True)
class ServerDates:
    """
    The `shutdown_date` values of a server's model list, by model id.

    Args:
        dates: Those that could be parsed.
        unreadable: The others, as JSON text.
        models: Every id of the list.
    """

    dates: Mapping[str, date] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()

    def shutdown_of(self, *models: str) -> Shutdown | None:
        """The date of the first of some models that has one."""
        found = next((model for model in models if model in self.dates), None)
        return Shutdown(self.dates[found], found, "the models endpoint") if found else None


_NOT_ASKED = ServerDates()


def announced(model: str) -> Shutdown | None:
    """The announced shutdown of an OpenAI model, or of a fine-tune of one, from the built-in table."""
    base = base_of(model)
    found = of_family(ANNOUNCED, base)
    return Shutdown(found, base, SOURCE) if found else None


def announced_by_azure(model: str, *, fine_tuned: bool = False) -> Shutdown | None:
    """
    The announced shutdown of a model on Azure, from the built-in tables.

    Args:
        model: A base model, or the id of a fine-tuned one, `gpt-4.1-mini-2025-04-14.ft-0e20` or `ft:…`.
        fine_tuned: The date of its fine-tuned models, which is a later one.
    """
    base = base_of(model).partition(".ft-")[0]
    found = of_family(AZURE_FINE_TUNES if fine_tuned or base != model else AZURE_ANNOUNCED, base)
    return Shutdown(found, base, AZURE_SOURCE) if found else None


def is_azure(base_url: str) -> bool:
    """Whether a server is Azure's, which has a calendar of its own."""
    return (urlsplit(base_url).hostname or "").endswith(".azure.com")


def of_family(table: Mapping[str, T], model: str) -> T | None:
    """What a table by model or family has for a model."""
    return table.get(model) or table.get(_DATE.sub("", model))


def shutdown_of(entry: Entry, server: ServerDates = _NOT_ASKED) -> Shutdown | None:
    """
    When a version is shut down: by its server, else by its entry, else by the announced dates.

    Args:
        entry: The version. The shutdown of its base model counts as its own.
        server: What the server reported, from `ask_shutdown_dates`.
    """
    models = _models_of(entry)
    if found := server.shutdown_of(*models):
        return found
    if entry.shutdown_date is not None:
        return Shutdown(_day(entry.shutdown_date), entry.model_id, "the registry")
    if entry.model_id.startswith("local:"):
        return None
    if is_azure(entry.base_url):
        tuned = bool(entry.job_id) or entry.base_model not in ("", entry.model_id)
        return next((end for model in models if (end := announced_by_azure(model, fine_tuned=tuned))), None)
    return next((end for model in models if (end := announced(model))), None)


def retiring_versions(
    registry: Registry, *, within: timedelta, now: datetime, server: ServerDates = _NOT_ASKED
) -> list[RetiringVersion]:
    """The versions in use whose model is shut down within a time, or was already; the earliest first."""
    found = [
        RetiringVersion(version, entry, shutdown)
        for version, entry in _in_use(registry)
        if (shutdown := shutdown_of(entry, server)) and shutdown.days_left(now) <= within.days
    ]
    return sorted(found, key=lambda one: (one.shutdown.date, one.version))


def unreadable_dates(registry: Registry, server: ServerDates) -> list[str]:
    """The versions in use for which the server reported a date that cannot be parsed, one clause each."""
    return [
        f"{version}: the server's shutdown date of {model} cannot be read: {server.unreadable[model]}"
        for version, entry in _in_use(registry)
        for model in dict.fromkeys(_models_of(entry))
        if model in server.unreadable
    ]


def ask_shutdown_dates(base_url: str | None = None) -> ServerDates:
    """
    Request the model list of a server, and read the `shutdown_date` of each model.

    Args:
        base_url: The server; None takes the one that the environment names.

    Raises:
        RegistryError: The request failed, or the response is not a model list.
        TargetError: The server must not receive the key.
    """
    import openai

    if os.environ.get("OPENAI_API_KEY", "").strip():
        refuse_to_send_key(base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL)
    try:
        with make_client(base_url, timeout=30) as client:
            # The client's own parser accepts anything as a model, and crashes on a body that is not JSON.
            text = client.models.with_raw_response.list().text
    except openai.OpenAIError as error:
        raise _no_model_list(error_line(str(error))) from error
    models = model_list(text)
    if models is None:
        raise _no_model_list("the response is not a model list")
    given: dict[str, object] = {}
    for model in models:
        name, end = str(model.get("id", "")), _reported_end(model)
        if name and end not in (None, ""):
            # A list may name a model twice, once without a date.
            given.setdefault(name, end)
    dates = {model: _parsed_date(value) for model, value in given.items()}
    return ServerDates(
        {model: day for model, day in dates.items() if day},
        {model: shown(given[model]) for model, day in dates.items() if not day},
        tuple(str(model["id"]) for model in models if model.get("id")),
    )


def _in_use(registry: Registry) -> Iterator[tuple[str, Entry]]:
    """Candidates, canary, production and the fallback of the rollout; the shutdown of any other version is harmless."""
    for version, entry in registry.entries.items():
        if entry.status in _IN_USE or version == registry.rollout.fallback:
            yield version, entry


def _models_of(entry: Entry) -> list[str]:
    """The ids whose shutdown ends a version: its own, and those of its base model."""
    return [model for model in (entry.model_id, entry.base_model, base_of(entry.model_id)) if model]


def model_list(text: str) -> list[dict[str, object]] | None:
    """The models in the response to `GET /models`; None if it is not a model list."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    models = body.get("data") if isinstance(body, dict) else None
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else None


def _reported_end(model: Mapping[str, object]) -> object:
    """The value that says when a model is shut down, under any of the names that servers have for it."""
    ends = (model[name] for name in _END_NAMES if model.get(name) not in (None, ""))
    end = next(ends, None)
    if isinstance(end, dict) and type(end.get("inference")) is int:
        # Azure's: Unix time in seconds, as its reference defines it, once for fine-tuning and once for requests.
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(end["inference"], UTC).isoformat()
    return end


def _no_model_list(problem: str) -> RegistryError:
    hint = "check OPENAI_API_KEY and OPENAI_BASE_URL, or omit --ask"
    return RegistryError(f"the server returned no usable model list: {problem}", "GET /models", hint)


def _parsed_date(value: object) -> date | None:
    """
    A date or time in ISO 8601 form.

    A number is not parsed: whether it counts seconds or milliseconds, or is a date such as 20261215, is a guess.
    """
    if not isinstance(value, str) or not _ISO_DATE.match(value):
        return None
    try:
        return _day(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _day(when: datetime) -> date:
    # Without a zone it was written by a person, who meant the day.
    return when.astimezone(UTC).date() if when.tzinfo else when.date()
