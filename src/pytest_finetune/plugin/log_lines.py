"""Masks each line of the live log and the log file, which are written without going through a report."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

_HANDLERS = ("log_cli_handler", "log_file_handler")
"""Attributes of pytest's logging plugin; what it captures for reports is masked there."""


class MaskingFormatter(logging.Formatter):
    """
    Formats records with another formatter, then passes the text, exceptions and stacks included, through `mask`.

    Args:
        inner: Formats a record.
        mask: Returns the text that may be written.
    """

    def __init__(self, inner: logging.Formatter, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._inner, self._mask = inner, mask

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        return self._mask(self._inner.format(record))


def mask_logs(config: pytest.Config, mask: Callable[[str], str]) -> None:
    """Pass all that this session logs through `mask`; does nothing with `-p no:logging`."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    for name in _HANDLERS:
        handler = getattr(plugin, name, None)
        if isinstance(handler, logging.Handler) and handler.formatter is not None:
            handler.setFormatter(MaskingFormatter(handler.formatter, mask))
