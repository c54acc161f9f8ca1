"""What the scorers that ask a judge read from `[scorer]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from pytest_finetune.base.errors import ScorerError, did_you_mean
from pytest_finetune.verdicts.evalset.settings_base import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST_LABELS = 2


class ScoreRange(Settings):
    """`score = {min = 1, max = 5, pass_at_least = 4}`: the judge gives a number."""

    min: float
    max: float
    pass_at_least: float

    @model_validator(mode="after")
    def _decides(self) -> ScoreRange:
        if not self.min < self.pass_at_least <= self.max:
            raise ValueError("min < pass_at_least <= max must hold; otherwise every answer passes, or none")
        return self


class JudgeModelOptions(Settings):
    """The judge and its rubric."""

    model: str = Field(min_length=1, description='name the model that judges: model = "gpt-4.1-2025-04-14"')
    rubric: str = Field(min_length=1, description='say what a good answer is: rubric = "…"')
    base_url: str = Field(default="", description="the judge's server")


class JudgeOptions(JudgeModelOptions):
    """What `judge` reads from `[scorer]` besides `labels`."""

    passes: list[str] = Field(default_factory=list, description='the labels of good answers: passes = ["good"]')
    score: ScoreRange | None = Field(default=None, description="score = {min = 1, max = 5, pass_at_least = 4}")


def check_verdicts(options: JudgeOptions, labels: Sequence[str]) -> None:
    """
    Check that the judge can give verdicts that pass and verdicts that do not.

    Raises:
        ScorerError: It is not clear which verdicts pass.
    """
    if options.score is not None:
        if labels or options.passes:
            raise ScorerError("score: the judge gives a number, so it has no labels", hint="keep score, or the labels")
        return
    if len(set(labels)) < _FEWEST_LABELS:
        hint = 'add labels = ["good", "bad"] and passes = ["good"], or score = {min = 1, max = 5, pass_at_least = 4}'
        raise ScorerError("the judge needs two or more labels, or a score", hint=hint)
    if wrong := [label for label in labels if label != label.strip() or not label or "\n" in label]:
        problem = f"label {wrong[0]!r} is empty, or has white space around it or a line end in it"
        raise ScorerError(problem, hint="write a short word")
    if unknown := [label for label in options.passes if label not in labels]:
        raise ScorerError(f"passes: {unknown[0]!r} is not one of the labels", hint=did_you_mean(unknown[0], labels))
    if not options.passes or set(options.passes) == set(labels):
        raise ScorerError("passes: some labels have to pass, and some not", hint='passes = ["good"]')
