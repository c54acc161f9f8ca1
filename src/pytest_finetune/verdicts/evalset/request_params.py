"""The parameters of requests: what `[request]` and `[models]` become on the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finetune.verdicts.evalset.settings import EvalSettings, ModelSettings, RequestSettings

_FIXED = {"response_format", "response_schema", "extra_body"}
_WORDS = ("service_tier", "stop", "tool_choice", "response_schema", "after")
"""Settings whose value may be the word "default" itself."""


def request_params(settings: EvalSettings, response_schema: Any = None) -> dict[str, Any]:
    """
    Everything of the request body that the settings decide; what they leave out is not sent.

    Args:
        settings: Their `[stability]` temperature goes before the one of `[request]`; `extra_body` before all.
        response_schema: The JSON Schema that `response_schema` names, where it names one.
    """
    values = {**settings.request.model_dump(exclude_none=True), "after": settings.answer.after}
    if settings.stability.temperature is not None:
        values["temperature"] = settings.stability.temperature
    sent = _on_the_wire(settings.request, values, response_schema)
    return {name: value for name, value in sent.items() if value is not None}


def own_params(settings: ModelSettings, response_schema: Any = None) -> dict[str, Any]:
    """The parameters that the settings of a model set, and None for those that they leave out."""
    values = {**settings.request.model_dump(exclude_unset=True), **settings.answer.model_dump(exclude_unset=True)}
    return _on_the_wire(settings.request, values, response_schema)


def _on_the_wire(settings: RequestSettings, values: dict[str, Any], response_schema: Any) -> dict[str, Any]:
    sent = {name: value for name, value in values.items() if name not in _FIXED}
    chosen = settings.response_format
    if chosen is not None:
        sent["response_format"] = {"type": chosen} if chosen in ("text", "json_object") else chosen
    if settings.response_schema is not None:
        sent["response_format"] = _strict_format(settings.response_schema, response_schema)
    left_out = {name: None for name, value in sent.items() if value == "default" and name not in _WORDS}
    return {**sent, **left_out, **settings.extra_body}


def _strict_format(file: str, schema: Any) -> dict[str, Any]:
    stem = file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".json").removesuffix(".schema")
    # Servers take at most 64 of these characters.
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:64] or "answer"
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}
