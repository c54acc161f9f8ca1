"""`not`: the answer is there, and another scorer does not accept it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Completion, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.evalset.settings_base import Settings
from pytest_finetune.verdicts.scoring.answers import missing_answer, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.evalset.settings import EvalSettings

_NEUTRAL = ("An answer that says nothing in particular.", "none", "0", "[]")


class NotOptions(Settings):
    """What the scorer reads from `[scorer]`."""

    of: str | dict[str, Any] = Field(description='name the scorer whose answers are wrong here: of = "contains"')


@dataclass(frozen=True, slots=True)
class NotScorer(Scorer):
    """
    The negation of another scorer.

    No answer, a refusal and an answer that was cut off never pass, nor does one that the other scorer gave up on.

    Args:
        inner: The scorer whose verdict is negated.
    """

    inner: Scorer
    name = "not"
    settings: ClassVar = frozenset({"normalize", "labels", "schema", "dialect", "scorer_files"})
    options: ClassVar = NotOptions
    blocking: ClassVar = True
    fingerprinted: ClassVar = True

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:
        """
        Reads `of`, a scorer's name or a table with its `type`, and passes all other settings on to it.

        Raises:
            ScorerError: The other scorer cannot be made, or has no useful negation.
        """
        from pytest_finetune.verdicts.scoring import make_scorer

        of = NotOptions.model_validate(settings.scorer_options).of
        options = {"type": of} if isinstance(of, str) else dict(of)
        name = options.pop("type", None)
        if not isinstance(name, str):
            raise ScorerError("of: the table names no scorer", hint='of = { type = "contains" }')
        if name == "not":
            raise ScorerError("of: 'not' of 'not' is the scorer itself", hint="use that scorer")
        if name == "tool_call":
            hint = "use scorer 'tool_call' and expect a text in the cases where no call is right"
            raise ScorerError("of: 'not' reads the text of an answer and not its calls", hint=hint)
        values = settings.model_dump(by_alias=True, exclude_unset=True)
        values |= {"scorer": name, "scorer_options": options, "gates": []}
        inner = make_scorer(type(settings).model_validate(values), folder)
        if isinstance(inner, AskingScorer):
            raise ScorerError(f"of: '{name}' asks another model", hint="say in its rubric what must not be there")
        return cls(inner)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Doubts about the other scorer's settings."""
        return self.inner.warnings

    @property
    def fingerprint(self) -> str:
        """That of the other scorer."""
        return self.inner.fingerprint

    def check(self, case: Case) -> str | None:
        """The other scorer must be able to use what the case names as wrong."""
        return self.inner.check(case)

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if there is a whole answer, and the other scorer rejects it."""
        if fault := missing_answer(completion) or truncated(completion):
            return fault.score()
        score = self.inner.score(case, completion)
        if score.passed:
            detail = f"{self.inner.name} accepts {shorten(completion.text)!r}, which is wrong here"
            return Score(passed=False, detail=detail)
        if score.undecided:
            return Score(passed=False, detail=f"{self.inner.name} gave up: {score.detail}", undecided=True)
        return Score(passed=True)

    def explain(self, case: Case, completion: Completion) -> list[str]:
        """What was not to be answered, and the answer: there is no difference to show."""
        wrong = ", ".join(repr(shorten(str(expected))) for expected in case.expected)
        return [f"unwanted: {shorten(wrong, 200)}" if wrong else "unwanted", f"got {shorten(completion.text, 200)!r}"]

    def right_answers(self, case: Case) -> Iterator[Completion]:  # noqa: ARG002 - the same for every case
        """Some texts, one of which is hardly what the case names as wrong."""
        yield from map(Completion, _NEUTRAL)
