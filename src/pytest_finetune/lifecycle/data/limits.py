"""Token limits of training examples; longer examples are truncated at their end."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_finetune.evaluation.fine_tune_prices import base_of
from pytest_finetune.evaluation.targets.weights import GET_BASE
from pytest_finetune.lifecycle.data.local_tokens import is_trained_here, local_context

if TYPE_CHECKING:
    from pytest_finetune.lifecycle.data.structure import ReportFinding
    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.verdicts.shapes.row import ChatRow

SOURCE = "https://platform.openai.com/docs/guides/supervised-fine-tuning#token-limits"
"""Source of the limits; those of older models are from earlier versions of the guide."""

DEFAULT_LIMIT = 65_536
"""Token limit if no model is named: that of all models that OpenAI still trains."""

LOCAL_LIMIT = 2048
"""Token limit of `pytest-finetune serve`: the memory of a training step is quadratic in the length."""

_LIMITS = (
    (re.compile(r"gpt-4\.1(-mini|-nano)?(-2025-04-14)?\Z"), 65_536),
    (re.compile(r"gpt-4o(-mini)?(-2024-\d\d-\d\d)?\Z"), 65_536),
    (re.compile(r"gpt-3\.?5-turbo-0613\Z"), 4_096),
    (re.compile(r"gpt-3\.?5-turbo(-0125|-1106)?\Z"), 16_385),  # Azure's names have no point
)

_MOST_TOKENS_PER_CHARACTER = 4
"""A token has at least one byte and a character at most four, so that short rows need not be counted."""


_MOST_TOKENS_PER_PICTURE = 1_445
"""
A picture of gpt-4o in full detail: 85, and 170 for each of at most 8 tiles.

Source: https://platform.openai.com/docs/guides/images-vision
"""

_SHORTEN = "shorten the row, or split it into several"


def example_limit(model: str) -> int | None:
    """
    Return the token limit of a model's training examples; None if unknown.

    `ft:…` has the limit of its base, and a local model that is not trained here the length of its context.
    """
    base = base_of(model)
    known = next((limit for pattern, limit in _LIMITS if pattern.match(base)), None)
    return known or (LOCAL_LIMIT if is_trained_here(base) else local_context(base))


class TokenLimit:
    """
    Counts the tokens of rows that may exceed the limit.

    Args:
        model: Sets the tokenizer and, without `limit`, the limit; empty for `DEFAULT_LIMIT`.
        limit: Maximum tokens of an example; None for that of the model.
    """

    def __init__(self, model: str, limit: int | None) -> None:
        self._limit = limit or (example_limit(model) if model else DEFAULT_LIMIT)
        self._model = model or "gpt-4.1"
        self._is_model_known = bool(model) or limit is None

    def check(self, value: dict[str, Any], row: ChatRow, report: ReportFinding) -> None:
        """Report a row that exceeds the limit, or may exceed it where its tokens are only estimated."""
        if self._limit is None or _characters(value) * _MOST_TOKENS_PER_CHARACTER <= self._limit:
            return
        from pytest_finetune.lifecycle.data.tokens import tokenizer_for

        tokenizer = tokenizer_for(self._model)
        if not self._is_model_known:
            tokenizer = replace(tokenizer, exact=False)
        count = tokenizer.count_row(row)
        if count > self._limit:
            about = "" if tokenizer.exact and not row.tools else "about "
            problem = f"{about}{count:,} tokens, {count - self._limit:,} over the limit"
            report("too_many_tokens", problem, _SHORTEN, path="$.messages")
        else:
            self._check_most(tokenizer, count, row, report)

    def _check_most(self, tokenizer: Tokenizer, count: int, row: ChatRow, report: ReportFinding) -> None:
        from pytest_finetune.lifecycle.data.tokens import not_counted_in

        left_out = not_counted_in(row)
        most = tokenizer.count_most(row) + _MOST_TOKENS_PER_PICTURE * sum(left_out.values())
        if self._limit is None or most <= self._limit:
            return
        without = f" without {' and '.join(left_out)}" if left_out else ""
        problem = f"about {count:,} tokens{without}, perhaps up to {most:,}; the limit is {self._limit:,}"
        report("perhaps_too_many_tokens", problem, self._how_to_know(), path="$.messages")

    def _how_to_know(self) -> str:
        if not self._is_model_known:
            return f"name the --model, so that its tokens are counted, or {_SHORTEN}"
        known_with_weights = is_trained_here(base_of(self._model))
        return f"{GET_BASE}, so that its tokens are counted, or {_SHORTEN}" if known_with_weights else _SHORTEN


def _characters(value: object) -> int:
    """An upper bound on the characters of a row that are counted as tokens."""
    if type(value) is str:
        return len(value)
    if type(value) is dict:
        return sum(len(key) + _characters(item) + 2 for key, item in value.items())
    return sum(_characters(item) + 2 for item in value) if type(value) is list else 2
