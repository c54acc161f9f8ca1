"""Deprecated: import from `pytest_finetune` instead. Scoring functions of users may still import from here."""

from __future__ import annotations

import warnings
from typing import Any

from pytest_finetune.base import records


def __getattr__(name: str) -> Any:
    found = getattr(records, name)
    if not name.startswith("__"):
        message = f"pytest_finetune.records is deprecated: from pytest_finetune import {name}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    return found
