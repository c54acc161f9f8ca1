"""A refusal that names a parameter gets the line of TOML that leaves the parameter out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Completion, Failure

if TYPE_CHECKING:
    from pytest_finetune.base.records import Request

_REFUSED = re.compile(
    r"unsupported|not support|n't support|not compatible|not permitted|not allowed|deprecated"
    r"|unrecogni[sz]ed|unknown (?:parameter|field|argument)|unexpected (?:keyword|parameter|field|argument|role)"
    r"|extra (?:fields|inputs)|only the default",
    re.IGNORECASE,
)
# OpenAI's Responses API: https://github.com/vectorize-io/hindsight/issues/58, read 2026-11-29.
_LEAST = re.compile(r"expected a value >= ?(\d+)", re.IGNORECASE)
_LIMITS = ("max_tokens", "max_completion_tokens")
_LEFT_OUT_BY_DEFAULT = (
    *("temperature", "top_p", *_LIMITS, "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("reasoning_effort", "verbosity", "response_format", "parallel_tool_calls"),
)
_IN_RESPONSES = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "response_format": "text.format",
}
"""Names of parameters in the Responses API, where they differ."""


def with_remedy(outcome: Completion | Failure, request: Request) -> Completion | Failure:
    """
    The outcome, or a fatal failure with the line to write if the server refused a parameter by its name.

    It is fatal because every other request of the eval set has that parameter too.
    """
    if isinstance(outcome, Completion) or outcome.fatal or outcome.kind != "bad_request":
        return outcome
    lines = _lines(outcome.message, request)
    if not lines:
        return outcome
    file = f"in {PurePosixPath(request.eval_set).with_suffix('.toml')} " if request.eval_set else ""
    table = f"[models.{json.dumps(request.model, ensure_ascii=False)}.request]"
    text = f"{outcome.message}; {file}write under {table}: {' and '.join(lines)}"
    return replace(outcome, message=text, fatal=True)


def _lines(message: str, request: Request) -> list[str]:
    """The lines of TOML that avoid a refusal; none if it does not name what it refuses."""
    if least := _LEAST.search(message):
        limits = [name for name in _LIMITS if name in request.params and _is_named(name, message, request.api)]
        return [f"{name} = {least[1]}" for name in limits]
    if not _REFUSED.search(message):
        return []
    if "/responses" in message and request.api == "chat":
        return ['api = "responses"']
    if re.search(r"\brole\b", message, re.IGNORECASE):
        return _role_lines(message, {each.role for each in request.messages})
    name = next((name for name in request.params if _is_named(name, message, request.api)), "")
    if name in _LIMITS:
        other = _LIMITS[1 - _LIMITS.index(name)]
        instead = [f"{other} = {request.params[name]}"] if other in message else []
        return [f'{name} = "default"', *instead]
    return [f'{name} = "default"'] if name in _LEFT_OUT_BY_DEFAULT else []


def _role_lines(message: str, roles: set[str]) -> list[str]:
    if "developer" in roles and "developer" in message:
        return ['system_role = "system"']
    return ['system_role = "user"'] if "system" in roles and "system" in message.lower() else []


def _is_named(parameter: str, message: str, api: str) -> bool:
    """Whether a message names a parameter by the name that it was sent with."""
    sent = _IN_RESPONSES.get(parameter, parameter) if api == "responses" else parameter
    return re.search(rf"(?<![\w.]){re.escape(sent)}(?!\w)", message) is not None
