"""What OpenAI and Azure have announced: the last days of models, and what replaces them, with source and date."""

from __future__ import annotations

from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = "https://developers.openai.com/api/docs/deprecations"
"""OpenAI's list of announced shutdowns. A fine-tune is shut down with its base model."""

LAST_FINE_TUNING_DAY = date(2027, 1, 6)
"""Last day on which OpenAI accepts new self-serve fine-tuning jobs (announced 2026-05-07, `SOURCE`)."""

ANNOUNCED: Mapping[str, date] = MappingProxyType(
    {
        # Announced 2026-04-22.
        "gpt-3.5-turbo": date(2026, 10, 23),
        "gpt-4": date(2026, 10, 23),
        "gpt-4-turbo": date(2026, 10, 23),
        "gpt-4o-2024-05-13": date(2026, 10, 23),
        "gpt-4.1-nano": date(2026, 10, 23),
        "o4-mini": date(2026, 10, 23),
        # Announced 2026-06-11.
        "gpt-5": date(2026, 12, 11),
        "gpt-5-mini": date(2026, 12, 11),
        "gpt-5-nano": date(2026, 12, 11),
        # Announced 2026-10-14.
        "gpt-4o": date(2027, 1, 14),
        "gpt-4o-mini": date(2027, 1, 14),
        "gpt-4.1": date(2027, 1, 14),
        "gpt-4.1-mini": date(2027, 1, 14),
    }
)
"""First day without the model, by family. A snapshot with a date of its own is listed by its full id."""

REPLACEMENTS: Mapping[str, str] = MappingProxyType(
    {
        "gpt-3.5-turbo": "gpt-5.6-terra",
        "gpt-4": "gpt-5.6-sol",
        "gpt-4-turbo": "gpt-5.6-sol",
        "gpt-4o-2024-05-13": "gpt-5.6-sol",
        "o4-mini": "gpt-5.6-terra",
        "gpt-5": "gpt-6.1-sol",
        "gpt-5-mini": "gpt-6.1-terra",
        "gpt-4o": "gpt-6-luna",
        "gpt-4o-mini": "gpt-6-luna",
        "gpt-4.1": "gpt-6-luna",
        "gpt-4.1-mini": "gpt-6-luna",
    }
)
"""The replacement that OpenAI recommends, by family (`SOURCE`, as of November 2026)."""

AZURE_SOURCE = (
    "https://github.com/MicrosoftDocs/azure-ai-docs/blob/main/articles/foundry/openai/includes/"
    "concepts-model-retirement-schedule-content.md"
)
"""Azure's retirement schedule."""

AZURE_AS_OF = date(2026, 7, 7)
"""Day of the version of the schedule that the two tables below are from."""

AZURE_ANNOUNCED: Mapping[str, date] = MappingProxyType(
    {
        "o1": date(2026, 9, 16),
        "gpt-4o": date(2026, 10, 1),
        "gpt-4o-mini": date(2026, 10, 1),
        "o3-mini": date(2026, 10, 1),
        "gpt-4.1": date(2026, 10, 14),
        "gpt-4.1-mini": date(2026, 10, 14),
        "gpt-4.1-nano": date(2026, 10, 14),
        "o3": date(2026, 10, 16),
        "o4-mini": date(2026, 10, 16),
        "gpt-5.2": date(2026, 12, 12),
        "gpt-5": date(2027, 2, 6),
        "gpt-5-mini": date(2027, 2, 6),
        "gpt-5-nano": date(2027, 2, 6),
        "gpt-5.4": date(2027, 3, 5),
        "gpt-5.4-mini": date(2027, 3, 18),
        "gpt-5.4-nano": date(2027, 3, 18),
        "gpt-5.5": date(2027, 4, 23),
        "gpt-5.1": date(2027, 5, 15),
    }
)
"""First day without a base model on Azure, by family."""

AZURE_FINE_TUNES: Mapping[str, date] = MappingProxyType(
    {
        "gpt-4o": date(2027, 10, 1),
        "gpt-4o-mini": date(2027, 10, 1),
        "gpt-4.1": date(2027, 10, 14),
        "gpt-4.1-mini": date(2027, 10, 14),
        "gpt-4.1-nano": date(2027, 10, 14),
        "o4-mini": date(2027, 10, 16),
    }
)
"""First day without the deployments of its fine-tuned models; Azure ends training half a year earlier."""
