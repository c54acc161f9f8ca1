"""Base of the scorers that say how near an answer is to the expected text, from 0 to 1; a threshold decides."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pytest_finetune.base.records import Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.settings_base import Settings
from pytest_finetune.verdicts.scoring.answers import missing_answer, truncated
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.texts import TextScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

_DIGITS = 1_000_000


class GradedOptions(Settings):
    """What every graded scorer reads from `[scorer]`."""

    threshold: float = Field(gt=0, le=1, description="the lowest score that passes: threshold = 0.8")


@dataclass(frozen=True, slots=True)
class GradedScorer(TextScorer):
    """
    Similarity of texts, after `normalize`.

    Args:
        threshold: The lowest score that passes, above 0 and at most 1.
    """

    threshold: float
    options: ClassVar = GradedOptions
    metrics: ClassVar = frozenset({"score"})

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """Reads `normalize` and `threshold`."""
        options = GradedOptions.model_validate(settings.scorer_options)
        return cls(make_normalizer(settings.normalize), options.threshold)

    @abstractmethod
    def similarity(self, expected: str, answer: str) -> float:
        """How near two normalized texts are, from 0 to 1; 1 for equal ones."""

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the score of the nearest expected text reaches the threshold."""
        if fault := missing_answer(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        similarities = [self.similarity(self.normalize(expected), answer) for expected in case.expected]
        return graded_score(case, completion, similarities, self.threshold)

    def usable(self, case: Case, comparable: Callable[[str], object]) -> str | None:
        """Why an expected text has nothing that this scorer compares, though it is not empty; None if all have."""
        for expected in case.expected:
            if not comparable(self.normalize(expected)):
                return f"expected {shorten(expected)!r} has no word to compare"
        return None


def graded_score(case: Case, completion: Completion, similarities: Sequence[float], threshold: float) -> Score:
    """The score of an answer by its similarity to each expected text: the nearest one counts."""
    value = rounded_down(max(similarities))
    if value >= threshold:
        return Score(passed=True, value=value)
    nearest = case.expected[similarities.index(max(similarities))]
    detail = f"score {value:g} is below {threshold:g}: expected {shorten(nearest)!r}"
    detail += f", got {shorten(completion.text)!r}"
    fault = truncated(completion)
    return Score(
        passed=False,
        format_failure=fault.kind if fault else None,
        detail=f"{fault.problem}; {detail}" if fault else detail,
        value=value,
    )


def rounded_down(value: float) -> float:
    """
    A score with six digits, in [0, 1].

    Rounded down, so that a score just below a threshold is never shown, or counted, as reaching it.
    """
    # The hair is far below a digit, and above the noise of floating point: 0.9 may arrive as 0.8999999999999999.
    return min(1.0, max(0.0, floor(value * _DIGITS + 1e-6) / _DIGITS))
