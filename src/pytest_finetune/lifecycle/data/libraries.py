"""Imports the libraries of the extra `[data]` when they are needed; a missing one is an error with a hint."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import DataError

if TYPE_CHECKING:
    from types import ModuleType


def needed(module: str) -> ModuleType:
    """
    Import a module.

    Raises:
        DataError: The module is not installed.
    """
    try:
        with warnings.catch_warnings():
            # Users cannot fix deprecation warnings in a library: bpe-openai has some on Python 3.11 and 3.12.
            warnings.simplefilter("ignore", DeprecationWarning)
            return import_module(module)
    except ModuleNotFoundError as error:
        hint = "pip install 'pytest-finetune[data]'"
        raise DataError(f"{error.name} is not installed, and data commands need it", hint=hint) from None
