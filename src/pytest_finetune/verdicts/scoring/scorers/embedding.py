"""`embedding`: the answer means nearly the same as an expected text, by the cosine of their embeddings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Message, Request, Score
from pytest_finetune.verdicts.evalset.asking_scorer import AskedModel, AskingScorer
from pytest_finetune.verdicts.scoring.answers import missing_answer
from pytest_finetune.verdicts.scoring.graded import GradedOptions, graded_score
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.texts import unusable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


class EmbeddingOptions(GradedOptions):
    """What the scorer reads from `[scorer]`."""

    model: str = Field(min_length=1, description='name the embedding model: model = "text-embedding-3-small"')
    base_url: str = Field(default="", description="the server of the embedding model")
    dimensions: int | None = Field(
        default=None, ge=1, description="length of the vectors, if the model can shorten them"
    )


@dataclass(frozen=True, slots=True)
class EmbeddingScorer(AskingScorer):
    """
    Similarity of meaning.

    Args:
        chosen: The model, its server, and the lowest cosine that passes.
        normalize: Applied to both texts first.
    """

    chosen: EmbeddingOptions
    normalize: Callable[[str], str]
    name = "embedding"
    settings: ClassVar = frozenset({"normalize"})
    options: ClassVar = EmbeddingOptions
    metrics: ClassVar = frozenset({"score"})

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """Reads `[scorer]` and `normalize`."""
        return cls(EmbeddingOptions.model_validate(settings.scorer_options), make_normalizer(settings.normalize))

    def check(self, case: Case) -> str | None:
        """An expected text must exist and not be empty after normalizing."""
        return unusable_text(case, self.normalize)

    @property
    def asks(self) -> AskedModel:
        """The embedding model."""
        return AskedModel(self.chosen.model, self.chosen.base_url)

    def questions(
        self,
        case: Case,
        completion: Completion,
        model: str,
        baseline: Completion | None = None,  # noqa: ARG002 - for scorers that compare
    ) -> tuple[Request, ...]:
        """One request with all texts; none if the answer is missing, or nothing is left of it, which servers refuse."""
        texts = [self.normalize(text) for text in (completion.text, *case.expected)]
        if missing_answer(completion) or not texts[0].strip():
            return ()
        params = {} if self.chosen.dimensions is None else {"dimensions": self.chosen.dimensions}
        return (Request(model, tuple(Message("user", text) for text in texts), params, api="embeddings"),)

    def score_replies(self, case: Case, completion: Completion, replies: Sequence[Completion]) -> Score:
        """
        Passed if the cosine with the nearest expected text reaches the threshold; a negative one counts as 0.

        Raises:
            ScorerError: The reply is not one number for each expected text.
        """
        if fault := missing_answer(completion):
            return fault.score()
        similarities = _numbers(replies[0].text, len(case.expected)) if replies else [0.0] * len(case.expected)
        if similarities is None:
            raise ScorerError(f"{self.asks.spec} did not return the similarity of each expected text")
        return graded_score(case, completion, similarities, self.chosen.threshold)


def _numbers(text: str, count: int) -> list[float] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != count:
        return None
    # A comparison with NaN is false.
    return found if all(type(each) in (int, float) and -1 <= each <= 1 for each in found) else None
