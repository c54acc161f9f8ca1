"""Token limits of training examples; longer examples are truncated at their end."""

from __future__ import annotations

import re

from pytest_finetune.evaluation.fine_tune_prices import base_of

SOURCE = "https://platform.openai.com/docs/guides/supervised-fine-tuning#token-limits"
"""Source of the limits; those of older models are from earlier versions of the guide."""

DEFAULT_LIMIT = 65_536
"""Token limit if no model is named: that of all models that OpenAI still trains."""

LOCAL_LIMIT = 2048
"""Token limit of `pytest-finetune serve`: the memory of a training step is quadratic in the length."""

_LIMITS = (
    (re.compile(r"gpt-4\.1(-mini|-nano)?(-2025-04-14)?\Z"), 65_536),
    (re.compile(r"gpt-4o(-mini)?(-2024-\d\d-\d\d)?\Z"), 65_536),
    (re.compile(r"gpt-3\.5-turbo-0613\Z"), 4_096),
    (re.compile(r"gpt-3\.5-turbo(-0125|-1106)?\Z"), 16_385),
    (re.compile(r"(local:)?smollm2-135m\Z"), LOCAL_LIMIT),
)


def example_limit(model: str) -> int | None:
    """Return the token limit of a model's training examples; None if unknown. `ft:…` has the limit of its base."""
    return next((limit for pattern, limit in _LIMITS if pattern.match(base_of(model))), None)
