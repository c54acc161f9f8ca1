"""What a model id reveals about the weights behind it."""

from __future__ import annotations

import re

_DATE = r"-\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_FIXED = re.compile(rf"ft:.+|.+{_DATE}", re.ASCII | re.DOTALL)


def names_fixed_weights(model: str) -> bool:
    """Whether an id always means the same weights: a fine-tune `ft:…`, or a dated snapshot `…-2024-07-18`."""
    return _FIXED.fullmatch(model) is not None


def answers_for(answered: str, asked: str) -> bool:
    """Whether the model name in a response is the requested one, or a dated snapshot of it if that is an alias."""
    return answered == asked or re.fullmatch(re.escape(asked) + _DATE, answered, re.ASCII) is not None


def model_title(spec: str, model: str, version: str) -> str:
    """The name of a model in reports: `v1.2 (ft:…)` of a version in the registry, else its spec."""
    return f"{version} ({model})" if version else spec
