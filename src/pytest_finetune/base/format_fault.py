"""Why an answer does not have the required format, raised where it is found and turned into a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import Score

if TYPE_CHECKING:
    from pytest_finetune.base.records import FormatFailure


class FormatFault(ValueError):  # noqa: N818 - a fault in an answer, not an error of ours
    """
    An answer does not have the required format.

    Args:
        kind: The kind of failure.
        problem: One clause for people.
        path: JSON path of the faulty value; empty if the fault has no place.
        undecided: The check was given up, so that the format may be right.
    """

    def __init__(self, kind: FormatFailure, problem: str, path: str = "", *, undecided: bool = False) -> None:
        super().__init__(kind, problem, path)
        self.kind, self.problem, self.path, self.undecided = kind, problem, path, undecided

    def score(self, fields: tuple[int, int] | None = None) -> Score:
        """The score of an answer with this fault."""
        detail = f"{self.path}: {self.problem}" if self.path else self.problem
        return Score(
            passed=False,
            format_failure=self.kind,
            path=self.path,
            detail=detail,
            fields=fields,
            undecided=self.undecided,
        )
