"""`number`: the answer is one number, and near enough to the expected one. Anything around it is a format failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from pytest_finetune.base.format_fault import FormatFault
from pytest_finetune.base.json_shape import schema_type
from pytest_finetune.base.records import FormatFailure, Score
from pytest_finetune.base.text import shorten
from pytest_finetune.verdicts.evalset.scorer import Scorer
from pytest_finetune.verdicts.metrics.measure import as_written
from pytest_finetune.verdicts.scoring.answers import fenced_or_refused, missing_answer, truncated
from pytest_finetune.verdicts.scoring.normalizers import make_normalizer
from pytest_finetune.verdicts.scoring.numerals import Tolerance, read_number
from pytest_finetune.verdicts.scoring.texts import PASSED

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction
    from pathlib import Path
    from typing import Self

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset.settings import EvalSettings


class NumberOptions(Tolerance):
    """What the scorer reads from `[scorer]`."""

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'", "_"] = ""

    @model_validator(mode="after")
    def _distinct(self) -> NumberOptions:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; change one of them")
        return self


@dataclass(frozen=True, slots=True)
class NumberScorer(Scorer):
    """
    Numbers, compared exactly as written and not as the nearest binary fractions.

    Args:
        normalize: Applied to answers and expected texts.
        tolerance: How near is near enough, and how numbers are written.
    """

    normalize: Callable[[str], str]
    tolerance: NumberOptions
    name = "number"
    settings: ClassVar = frozenset({"normalize"})
    options: ClassVar = NumberOptions
    metrics: ClassVar = frozenset({"valid_rate", "format_stability"})

    @classmethod
    def make(cls, settings: EvalSettings, folder: Path) -> Self:  # noqa: ARG003 - needs no files
        """Reads `normalize`, the tolerances, `decimal` and `thousands`."""
        return cls(make_normalizer(settings.normalize), NumberOptions.model_validate(settings.scorer_options))

    def check(self, case: Case) -> str | None:
        """Every expected answer must be a number, or one in text."""
        if not case.expected:
            return "no expected number"
        for expected in case.expected:
            try:
                self._value(expected)
            except FormatFault as fault:
                return f"expected is not a number: {fault.problem}"
        return None

    def score(self, case: Case, completion: Completion) -> Score:
        """Passed if the answer is a number near enough to any expected one."""
        # Digits may be missing from the end of a number that was cut off, and it would be another number.
        if fault := missing_answer(completion) or truncated(completion):
            return fault.score()
        try:
            got = self._read(completion.text)
        except FormatFault as unread:
            return (fenced_or_refused(completion.text) or unread).score()
        if any(self.tolerance.accepts(self._value(expected), got) for expected in case.expected):
            return PASSED
        expected = f"{case.expected[0]}{self._margin()}"
        return Score(passed=False, detail=f"expected {shorten(expected)}, got {shorten(completion.text)}")

    def _value(self, expected: Any) -> Fraction:
        if isinstance(expected, str):
            return self._read(expected)
        if isinstance(expected, bool) or not isinstance(expected, int | float):
            raise FormatFault(FormatFailure.WRONG_TYPE, f"it is a JSON {schema_type(expected)}")
        return as_written(expected)

    def _read(self, text: str) -> Fraction:
        return read_number(self.normalize(text), decimal=self.tolerance.decimal, thousands=self.tolerance.thousands)

    def _margin(self) -> str:
        margins = [f"{self.tolerance.absolute:g}"] * bool(self.tolerance.absolute)
        margins += [f"{self.tolerance.relative * 100:g} %"] * bool(self.tolerance.relative)
        return f" ± {' or '.join(margins)}" if margins else ""
