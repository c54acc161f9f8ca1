"""Whole outputs against texts that are kept in the repository; UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "plugin" / "golden"
CHANGING = (
    # A slow machine tells seconds, and the width of a figure is the padding's business.
    (r" {2,}[0-9.]+/[0-9.]+ m?s\b", "  1/2 ms"),
    (r"p50/p95 [0-9.]+/[0-9.]+ s", "p50/p95 1.00/2.00 s"),
    (r"in [0-9.]+s =+", "in 1s"),
    (r"^run \S+:", "run ID:"),
    (r"^Run `[^`]+`", "Run `ID`"),
    (r" +$", ""),
)
"""What differs from run to run, and what stands in its place."""


def compare(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def steady(text: str) -> str:
    for found, put in CHANGING:
        text = re.sub(found, put, text, flags=re.MULTILINE)
    return text
