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
_LIMITS = ("max_tokens", "max_completion_tokens")
_LEFT_OUT_BY_DEFAULT = (
    *("temperature", "top_p", *_LIMITS, "seed", "presence_penalty", "frequency_penalty", "logit_bias"),
    *("reasoning_effort", "verbosity", "response_format", "parallel_tool_calls"),
)


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
    if not _REFUSED.search(message):
        return []
    if "/responses" in message and request.api == "chat":
        return ['api = "responses"']
    roles = {each.role for each in request.messages}
    if re.search(r"\brole\b", message, re.IGNORECASE):
        if "developer" in roles and "developer" in message:
            return ['system_role = "system"']
        return ['system_role = "user"'] if "system" in roles and "system" in message.lower() else []
    name = next((name for name in request.params if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", message)), "")
    if name in _LIMITS:
        other = _LIMITS[1 - _LIMITS.index(name)]
        instead = [f"{other} = {request.params[name]}"] if other in message else []
        return [f'{name} = "default"', *instead]
    return [f'{name} = "default"'] if name in _LEFT_OUT_BY_DEFAULT else []
