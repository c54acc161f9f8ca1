"""Checks of a project's setup as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.setup_checks import CheckState
from pytest_finetune.reports.text import one_line, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_finetune.lifecycle.setup_checks import SetupCheck
    from pytest_finetune.reports.text import Line

_COLOURS = {CheckState.OK: "green", CheckState.WARNING: "yellow", CheckState.ERROR: "red"}


def setup_check_lines(check: SetupCheck) -> Iterator[Line]:
    """One check: its state, its name, what was found, and what to do about it."""
    colour = _COLOURS.get(check.state)
    yield from wrapped(
        f"{check.state:<8} {check.name:<10} {one_line(check.detail)}", {colour: True} if colour else {}, indent=20
    )
    if check.hint:
        yield from wrapped(f"{'':<20}hint: {one_line(check.hint)}", indent=22)
