"""What production sends, and what has changed in the eval sets since its version was promoted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.json_text import canonical_json, without_nulls
from pytest_finetune.base.strict_json import JsonFault, parse_json
from pytest_finetune.base.text import shorten
from pytest_finetune.lifecycle.data.canonical import system_text
from pytest_finetune.verdicts.evalset.reading import UTF8_BOM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


@dataclass(frozen=True, slots=True)
class PromotionRequests:
    """
    What all requests had in common in the run on which a version was promoted.

    Args:
        settings: The settings that determine a request body, by name.
        systems: System prompts; an empty one for cases without.
        tools: Lists of tools as canonical JSON; an empty one for cases without.
    """

    settings: Mapping[str, Any]
    systems: frozenset[str]
    tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Production:
    """
    What is known of the requests that production sends.

    Args:
        name: File with a production request, or the model in production.
        promoted: Model of the registry's production version; empty without a registry.
        hashes: Hashes of settings and of schemas, by eval set, from the evidence of the promotion.
        requests: Requests of the run it was promoted on, by eval set; only those whose record still exists.
        system: System prompt, empty for none; None if unknown.
        tools: Tools as canonical JSON, empty for none; None if unknown.
        response_format: Response format as canonical JSON, empty for none; None if unknown.
    """

    name: str
    promoted: str = ""
    hashes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    requests: Mapping[str, PromotionRequests] = field(default_factory=dict)
    system: str | None = None
    tools: str | None = None
    response_format: str | None = None


def read_production(path: Path) -> Production:
    """
    Read one production request.

    Args:
        path: A file with the JSON body of one `POST /chat/completions`.

    Raises:
        DataError: The file cannot be read, or is not such a body.
    """
    try:
        body, name = parse_json(path.read_bytes().removeprefix(UTF8_BOM).decode()), str(path)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), "check path and permissions") from error
    except (UnicodeDecodeError, JsonFault) as fault:
        raise DataError("not strict JSON in UTF-8", str(path), "the file must contain one request body") from fault
    messages = body.get("messages") if type(body) is dict else None
    if type(messages) is not list or not all(type(message) is dict for message in messages):
        hint = 'the file must contain a whole request body: {"messages": […], "tools": …}'
        raise DataError("not a chat request", name, hint)
    return Production(
        name,
        system=system_text(messages),
        tools=canonical_or_empty(body.get("tools")),
        response_format=canonical_or_empty(body.get("response_format")),
    )


def request_settings(settings: EvalSettings) -> dict[str, Any]:
    """The settings that determine a request body, by name; null for those not set."""
    temperature = {"stability.temperature": settings.stability.temperature}
    return settings.request.model_dump(mode="json") | temperature


def changes_since_promotion(eval_set: EvalSet, production: Production) -> Iterator[str]:
    """Changes that affect requests to an eval set since production was promoted on it."""
    settings, schemas = production.hashes.get(eval_set.name, ("", ""))
    if not settings:
        return
    promoted = production.requests.get(eval_set.name)
    if settings != eval_set.settings_sha256 and promoted is None:
        yield f"its request, scorer or gate settings have changed since {production.promoted} was promoted"
    if promoted is not None:
        now = request_settings(eval_set.settings)
        for name in sorted(key for key in now if now[key] != promoted.settings.get(key)):
            was, is_now = (shorten(json.dumps(each.get(name)), 60) for each in (promoted.settings, now))
            yield f"{name} is {is_now}; it was {was} when {production.promoted} was promoted"
    if schemas != eval_set.schema_sha256:
        yield f"its schemas have changed since {production.promoted} was promoted"


def canonical_or_empty(value: object) -> str:
    """A value as canonical JSON; empty if it is null or empty."""
    return canonical_json(without_nulls(value)) if value else ""
