"""A request as the bytes that go over the wire: compact UTF-8 JSON, and nothing that JSON does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.targets.answers import clean

if TYPE_CHECKING:
    from pytest_finetune.base.records import Request


def encode(request: Request) -> bytes | Failure:
    """The body of `POST /chat/completions`; a Failure where it holds NaN, a lone surrogate or no JSON value at all."""
    try:
        return _ENCODER.encode(request.body()).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return Failure("bad_request", clean(f"the request cannot be written as JSON: {error}"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
