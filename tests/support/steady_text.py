"""Replaces run-specific values in whole outputs, so that they can be compared with a golden file."""

from __future__ import annotations

import re

_CHANGING = (
    # The width of a figure sets the padding before it.
    (r" {2,}[0-9.]+/[0-9.]+ m?s\b", "  1/2 ms"),
    (r"p50/p95 [0-9.]+/[0-9.]+ m?s", "p50/p95 1/2 ms"),
    (r"in [0-9.]+s =+", "in 1s"),
    (r"^run \S+:", "run ID:"),
    (r"^Run `[^`]+`", "Run `ID`"),
    (r" +$", ""),
)


def steady(text: str) -> str:
    for found, put in _CHANGING:
        text = re.sub(found, put, text, flags=re.MULTILINE)
    return text
