"""Encodes a request as compact UTF-8 JSON; values that JSON cannot represent are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_finetune.base.records import Failure, Request
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.embeddings import embeddings_body
from pytest_finetune.evaluation.targets.responses_api import responses_body

PATHS = {"chat": "/chat/completions", "responses": "/responses", "embeddings": "/embeddings"}
"""Where requests are sent, below the base URL."""


def encode(request: Request) -> bytes | Failure:
    """
    The body of `POST /chat/completions`, `POST /responses` or `POST /embeddings`.

    A Failure if it holds NaN, a lone surrogate or another non-JSON value, or what the API has no place for.
    """
    try:
        bodies = {"responses": responses_body, "embeddings": embeddings_body}
        return _ENCODER.encode(bodies.get(request.api, Request.body)(request)).encode()
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        return Failure("bad_request", error_line(f"the request cannot be written as JSON: {error}"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
