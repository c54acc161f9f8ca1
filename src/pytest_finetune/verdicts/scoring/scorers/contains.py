"""`contains`: an expected text occurs somewhere in the answer, after normalizing both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.scoring.answers import missed_text, withheld
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.texts import PASSED, unusable_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion, Score
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


@dataclass(frozen=True, slots=True)
class ContainsScorer(Scorer):
    """Texts to be found, compared after `normalize`."""

    normalize: Callable[[str], str]
    name = "contains"
    settings: ClassVar = frozenset({"normalize"})

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """Reads `normalize`."""
        return cls(make_normalizer(settings.normalize))

    def check(self, case: Case) -> str | None:
        """An expected text must be there and not be empty, or it would be found in everything."""
        return unusable_text(case, self.normalize)

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed when any expected text occurs in the answer."""
        if fault := withheld(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        for expected in case.expected:
            if self.normalize(expected) in answer:
                return PASSED
        wanted = f"expected {shorten(case.expected[0])!r} somewhere"
        return missed_text(completion, f"{wanted}, got {shorten(completion.text)!r}")
