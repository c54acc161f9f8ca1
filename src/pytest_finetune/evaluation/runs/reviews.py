"""`reviews.jsonl`: what people say about the cases of a run. The seal leaves it out, so closed runs take reviews."""

from __future__ import annotations

import os
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_finetune.evaluation.runs.run import unwritable

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.evaluation.runs.run import Run

Opinion = Literal["", "right", "wrong", "unclear"]
OPINIONS: tuple[Opinion, ...] = get_args(Opinion)

LONGEST_NOTE = 10_000
"""Characters of a note."""


class Review(BaseModel):
    """
    What a person says about one case of a run; a later review of the same case replaces it.

    Args:
        eval_set: Name of the eval set.
        case: Id of the case.
        verdict: Whether the answer is right, whatever the scorer said; empty for a note without a verdict.
        note: Any text.
        at: When it was written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    eval_set: str
    case: str
    verdict: Opinion = ""
    note: str = Field(default="", max_length=LONGEST_NOTE)
    at: datetime


def reviews_of(run: Run) -> dict[tuple[str, str], Review]:
    """The reviews by eval set and case; those with neither verdict nor note are gone, and torn lines are skipped."""
    found: dict[tuple[str, str], Review] = {}
    path = _path(run)
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            review = Review.model_validate_json(line)
        except ValidationError:
            continue
        found[review.eval_set, review.case] = review
    return {key: review for key, review in found.items() if review.verdict or review.note}


def add_review(run: Run, review: Review) -> None:
    """
    Append a review.

    Raises:
        RunError: It cannot be written.
    """
    path = _path(run)
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A line that a crash has torn must not swallow this one.
            os.write(file, b"\n" * _is_torn(path) + review.model_dump_json().encode() + b"\n")
        finally:
            os.close(file)
    except OSError as error:
        raise unwritable(error, path) from error


def _is_torn(path: Path) -> bool:
    data = path.read_bytes()
    return bool(data) and not data.endswith(b"\n")


def _path(run: Run) -> Path:
    return run.path / "reviews.jsonl"
