"""Recognizes an error that means that a filter withheld the prompt or the answer, in the words of many servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Without case and punctuation: OpenAI's and Azure's codes, LiteLLM's, Qwen's, Doubao's, Zhipu's, ERNIE's, Mistral's.
_CODES = frozenset(
    {
        "contentfilter",
        "contentfiltered",
        "contentfiltererror",
        "contentpolicyviolation",
        "moderationblocked",
        "responsibleaipolicyviolation",
        "datainspectionfailed",
        "sensitivecontentdetected",
        "inputtextsensitivecontentdetected",
        "outputtextsensitivecontentdetected",
        "1301",
        "maliciouscontent",
        "guardrail",
    }
)

# Where there is no code of its own: OpenAI's for reasoning models, DeepSeek's, xAI's, LiteLLM's.
_MESSAGES = re.compile(
    r"violating our usage policy|content exists risk|content violates usage guidelines|contentpolicyviolationerror",
    re.IGNORECASE,
)
_NO_LETTER = re.compile(r"[^a-z0-9]")
_DETAILS = ("content_filter_result", "content_filter_results")


def is_filtered(error: dict[str, Any], detail: str, codes: Iterable[str]) -> bool:
    """
    Whether an error says so.

    Args:
        error: The object with its parts.
        detail: Its message.
        codes: All its codes and types, in lower case.
    """
    if any(_NO_LETTER.sub("", code) in _CODES for code in codes) or _MESSAGES.search(detail):
        return True
    inner, metadata = error.get("innererror"), error.get("metadata")
    if isinstance(inner, dict) and any(_any_filtered(inner.get(name)) for name in _DETAILS):
        return True
    # OpenRouter's, whose status is 403 and whose code is no other.
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _any_filtered(details: Any) -> bool:
    """Azure's categories, each with `filtered`."""
    if not isinstance(details, dict):
        return False
    return any(isinstance(each, dict) and each.get("filtered") is True for each in details.values())
