"""What an eval set needs of a scorer, and which scorers and settings go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case, Completion, Score

SCORERS = ("exact", "label", "json", "schema", "tool_call", "sql", "regex", "contains")
"""The built-in scorers; anything with a colon is a `package.module:function`."""

USES = {
    "exact": {"normalize"},
    "label": {"normalize", "labels"},
    "json": {"normalize", "json_schema"},
    "schema": {"json_schema"},
    "tool_call": {"normalize", "json_schema"},
    "sql": {"dialect"},
    "regex": {"normalize"},
    "contains": {"normalize"},
}
"""The settings that each of them reads."""


class Scorer(Protocol):
    """What judges the answers of one eval set. Two optional attributes: see `scorer_warnings` and `LabelScorer`."""

    @property
    def name(self) -> str:
        """The scorer as the settings name it."""

    @property
    def blocking(self) -> bool:
        """Scoring may take long or wait, so an event loop runs it in a thread."""

    def check(self, case: Case) -> str | None:
        """The problem that makes the case unscorable, told when the eval set is loaded; None when there is none."""

    def score(self, case: Case, completion: Completion) -> Score:
        """
        Judge one answer to a case that `check` found no fault with.

        Raises:
            ScorerError: The user's own scoring function broke; no answer makes a built-in scorer raise.
        """
