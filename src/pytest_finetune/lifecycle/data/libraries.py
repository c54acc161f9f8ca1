"""The libraries of the extra `[data]`, imported when they are needed; a missing one is told with its remedy."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from pytest_finetune.base.errors import DataError


def needed(module: str) -> Any:
    """
    The module of that name.

    Raises:
        DataError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            # What a library finds old in itself is its own business: bpe-openai on Python 3.11 and 3.12.
            warnings.simplefilter("ignore", DeprecationWarning)
            return import_module(module)
    except ModuleNotFoundError as error:
        hint = "pip install 'pytest-finetune[data]'"
        raise DataError(f"{error.name} is not installed, and data commands need it", hint=hint) from None
