"""Encodes a request as compact UTF-8 JSON; values that JSON cannot represent are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Failure
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.responses_api import responses_body

PATHS = {"chat": "/chat/completions", "responses": "/responses"}
"""Where requests are sent, below the base URL."""

if TYPE_CHECKING:
    from pytest_finetune.base.records import Request


def encode(request: Request) -> bytes | Failure:
    """
    The body of `POST /chat/completions` or of `POST /responses`.

    A Failure if it holds NaN, a lone surrogate or another non-JSON value, or what the API has no place for.
    """
    try:
        body = responses_body(request) if request.api == "responses" else request.body()
        return _ENCODER.encode(body).encode()
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        return Failure("bad_request", error_line(f"the request cannot be written as JSON: {error}"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
