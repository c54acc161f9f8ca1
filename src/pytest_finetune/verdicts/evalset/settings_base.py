"""The base of all settings that people write."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class Settings(BaseModel):
    """Base of all settings read from people: frozen, and no key goes unread."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def misfit(problem: str, hint: str) -> PydanticCustomError:
    """What a validator raises for values that do not go together, with the remedy."""
    return PydanticCustomError("misfit", "{problem}; {hint}", {"problem": problem, "hint": hint})
