"""Secrets and personal data as findings show them: enough to be found again, never whole."""

from __future__ import annotations

_SHORT = 10


def masked(secret: str) -> str:
    """The first letters and the last, and how long it is: `sk-…9f (51 characters)`."""
    shown = f"{secret[:3]}…{secret[-2:]}" if len(secret) > _SHORT else f"{secret[:1]}…"
    return f"{shown} ({len(secret)} characters)"
