"""`label`: the answer is one of a fixed list of labels, and the right one. Any other answer is a format failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_finetune.base.errors import ScorerError, did_you_mean
from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.scoring.answers import fenced_or_refused, missing_answer, truncated
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.texts import unusable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


@dataclass(frozen=True, slots=True)
class LabelScorer(Scorer):
    """
    Labels, compared after `normalize`.

    Args:
        normalize: Applied to answers and expected labels.
        canonical: Normalized label -> the label as the settings write it.
    """

    normalize: Callable[[str], str]
    canonical: Mapping[str, str]
    name = "label"
    settings: ClassVar = frozenset({"normalize", "labels"})
    metrics: ClassVar = frozenset({"macro_f1", "weighted_f1", "recall", "valid_rate", "format_stability"})

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """
        Reads `labels` and `normalize`.

        Raises:
            ScorerError: There are no labels, or two of them are equal after normalizing.
        """
        if not settings.labels:
            raise ScorerError("scorer 'label' needs labels", hint='add labels = ["…", "…"]')
        normalize = make_normalizer(settings.normalize)
        canonical: dict[str, str] = {}
        for label in settings.labels:
            key = normalize(label)
            if not key.strip():
                raise ScorerError(f"label {label!r} is empty after normalizing", hint="remove it")
            if key in canonical:
                raise ScorerError(
                    f"labels {canonical[key]!r} and {label!r} are the same after normalizing",
                    hint="remove one, or normalize less",
                )
            canonical[key] = label
        return cls(normalize, canonical)

    @property
    def labels(self) -> tuple[str, ...]:
        """The allowed labels, in the order of the settings."""
        return tuple(self.canonical.values())

    @property
    def expected_label(self) -> Callable[[Case], str]:
        """Returns the first expected label of a case, as written in the settings."""
        return self._expected_label

    def normalized(self, text: str) -> str:
        """The text after `normalize`."""
        return self.normalize(text)

    def check(self, case: Case) -> str | None:
        """Every expected answer must be one of the labels."""
        if problem := unusable_text(case, self.normalize):
            return problem
        for expected in case.expected:
            if self.normalize(expected) not in self.canonical:
                hint = did_you_mean(expected, self.canonical.values())
                return f"expected {shorten(expected)!r} is not one of the labels; {hint}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the answer is a label, and any expected one."""
        if fault := missing_answer(completion):
            return fault.score()
        answer = self.normalize(completion.text)
        label = self.canonical.get(answer)
        if label is None:
            return self._outside(completion).score()
        for expected in case.expected:
            if self.normalize(expected) == answer:
                return Score(passed=True, label=label)
        return Score(passed=False, detail=f"expected {self.expected_label(case)!r}, got {label!r}", label=label)

    def _expected_label(self, case: Case) -> str:
        return self.canonical[self.normalize(case.expected[0])]

    def _outside(self, completion: Completion) -> FormatFault:
        if fault := truncated(completion):
            return fault
        if (fault := fenced_or_refused(completion.text)) and fault.kind is FormatFailure.REFUSAL:
            return fault
        return FormatFault(FormatFailure.NOT_IN_ENUM, f"{shorten(completion.text)!r} is not one of the labels")
