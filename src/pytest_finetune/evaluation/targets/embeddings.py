"""The embeddings API: texts in, and how similar the first one is to each of the others out."""

from __future__ import annotations

import base64
import json
import struct
from math import isfinite, sqrt
from operator import mul
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Completion, Usage
from pytest_finetune.evaluation.targets.answer_parts import Malformed, count_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Request

_DIGITS = 6
_FLOAT = 4
"""Bytes of a number in the form `base64`: little-endian single precision."""


def texts_of(request: Request) -> list[str]:
    """The texts to compare: the first one with each of the others."""
    return [message.content for message in request.messages]


def embeddings_body(request: Request) -> dict[str, Any]:
    """The body of `POST /embeddings`."""
    return {"input": texts_of(request), "model": request.model, "encoding_format": "float", **request.params}


def read_embeddings(value: Any) -> Completion:
    """
    The similarities in a response: JSON text, as the vectors would make a record a hundred times larger.

    Raises:
        Malformed: It has no usable vectors.
    """
    if not isinstance(value, dict):
        raise Malformed("a body that is not a JSON object")
    data = value.get("data")
    if not isinstance(data, list) or not data or not all(isinstance(each, dict) for each in data):
        raise Malformed("a body without data")
    # Not every server keeps the order; some leave the index out.
    indices = [each.get("index", place) for place, each in enumerate(data)]
    if sorted(map(str, indices)) != sorted(map(str, range(len(data)))):
        raise Malformed("embeddings that are not numbered from 0")
    ordered = [each for _, each in sorted(zip(indices, data, strict=True), key=lambda pair: int(pair[0]))]
    usage = value.get("usage")
    tokens = count_of(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    return similarities_of(
        [_vector(each.get("embedding")) for each in ordered],
        model=text_of(value.get("model"), "model"),
        usage=Usage(tokens) if tokens else None,
    )


def similarities_of(vectors: Sequence[Sequence[float]], *, model: str, usage: Usage | None = None) -> Completion:
    """
    The cosine of the first vector and each of the others, as a JSON list.

    Raises:
        Malformed: The vectors have different lengths, or one is zero or not finite.
    """
    lengths = [sqrt(_dot(vector, vector)) for vector in vectors]
    if len({len(vector) for vector in vectors}) != 1 or not all(isfinite(each) and each > 0 for each in lengths):
        raise Malformed("embeddings of different lengths, or one that is zero or not finite")
    first, *others = vectors
    cosines = [_dot(first, other) / (lengths[0] * length) for other, length in zip(others, lengths[1:], strict=True)]
    # Rounding may step over the ends.
    shown = [round(max(-1.0, min(1.0, cosine)), _DIGITS) for cosine in cosines]
    return Completion(json.dumps(shown), model=model, usage=usage)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(mul, one, other)))


def _vector(value: Any) -> list[float]:
    if isinstance(value, str):
        # Some servers ignore the format that was requested.
        return _decoded(value)
    if not isinstance(value, list) or not value or not all(type(each) in (int, float) for each in value):
        raise Malformed("an embedding that is not a list of numbers")
    return [float(each) for each in value]


def _decoded(text: str) -> list[float]:
    try:
        raw = base64.b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(raw) // _FLOAT}f", raw))
    except (ValueError, struct.error):
        raise Malformed("an embedding that is not a list of numbers") from None
