"""What goes to the live log and the log file, past all reports: every line is gone through before it is written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

_HANDLERS = ("log_cli_handler", "log_file_handler")
"""Of pytest's own logging plugin; whatever it captures for reports is gone through there."""


class GuardedFormatter(logging.Formatter):
    """
    Another formatter's lines, exceptions and stacks included, after `look` has gone through them.

    Args:
        inner: Makes the text of a record.
        look: The text as it may be written.
    """

    def __init__(self, inner: logging.Formatter, look: Callable[[str], str]) -> None:
        super().__init__()
        self._inner, self._look = inner, look

    def format(self, record: logging.LogRecord) -> str:
        """One record, as text."""
        return self._look(self._inner.format(record))


def guard_logs(config: pytest.Config, look: Callable[[str], str]) -> None:
    """Let `look` go through all that this session logs; nothing where logging is switched off (`-p no:logging`)."""
    plugin = config.pluginmanager.get_plugin("logging-plugin")
    for name in _HANDLERS:
        handler = getattr(plugin, name, None)
        if isinstance(handler, logging.Handler) and handler.formatter is not None:
            handler.setFormatter(GuardedFormatter(handler.formatter, look))
