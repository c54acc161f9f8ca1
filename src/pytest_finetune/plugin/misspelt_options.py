"""Unknown options that were meant for this plugin: pytest's own error does not say which was meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.plugin.names import destination

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEANT = {
    "--base-url": "--finetune-base-url",
    "--html-report": "--finetune-html",
    "--report": "--finetune-html",
    "--markdown": "--finetune-markdown",
    "--budget": "--max-cost",
}
"""What people type, and no spelling check finds."""

_SIMILARITY = 0.8


def refuse_misspelt_options(parser: pytest.Parser, args: Sequence[str]) -> None:
    """
    Refuse options that no plugin defines and that resemble one of ours, in a session that names a model.

    Raises:
        pytest.UsageError: There is such an option; the message says which one was probably meant.
    """
    values, unknown = parser.parse_known_and_unknown_args(list(args))
    if not getattr(values, destination("model"), None):
        return
    ours = [name for option in parser.getgroup("finetune").options for name in option.names()]
    typed = (word.partition("=")[0] for word in unknown)
    found = [f"{name}: no such option; did you mean {meant}?" for name in typed if (meant := _meant(name, ours))]
    if found:
        raise pytest.UsageError("\n".join(found))


def _meant(typed: str, ours: Sequence[str]) -> str:
    if not typed.startswith("--"):
        return ""
    prefixed = f"--finetune-{typed.removeprefix('--')}"
    known = _MEANT.get(typed) or (prefixed if prefixed in ours else "")
    return known or next(iter(get_close_matches(typed, ours, n=1, cutoff=_SIMILARITY)), "")
