"""One scorer among several of a set: its scores in place of those of the scorer that decides what passed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.records import NOTHING, Failure, Sample, State
from pytest_finetune.verdicts.metrics.plan import CaseSamples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_finetune.base.records import Case
    from pytest_finetune.verdicts.metrics.calibration import Calibration

_UNSCORED = "unscored"


@dataclass(frozen=True, slots=True)
class Part:
    """
    What the figures of one scorer depend on besides its scores.

    Args:
        expected_label: The label that a case expects; None where answers are not labels.
        expected: Key in a case's metadata of what the scorer compares answers with; empty for the expected answer.
        judge: The calibration of the judge that gave the scores; None if a rule gave them.
    """

    expected_label: Callable[[Case], str] | None = None
    expected: str = ""
    judge: Calibration | None = None

    def case(self, case: Case) -> Case:
        """The case as the scorer sees it."""
        if not self.expected:
            return case
        found = case.metadata[self.expected]
        expected = tuple(found) if isinstance(found, list | tuple) else (found,)
        return replace(case, expected=expected, tool_calls=(), accept=NOTHING)

    def rows(self, rows: Iterable[CaseSamples], name: str) -> tuple[CaseSamples, ...]:
        """The rows with the scores of this scorer."""
        return tuple(
            CaseSamples(self.case(row.case), tuple(sample and part_of(sample, name) for sample in row.samples))
            for row in rows
        )


def part_of(sample: Sample, scorer: str) -> Sample:
    """
    A sample as one scorer sees it; the sample itself for the deciding one, whose name is empty.

    An answer that this scorer has not scored is in error, whatever the deciding scorer's result.
    """
    if not scorer or sample.state not in (State.PASSED, State.MISSED):
        return sample
    score = ((sample.score and sample.score.parts) or {}).get(scorer)
    if score is None:
        failure = Failure(_UNSCORED, f"not scored by {scorer}")
        return replace(sample, state=State.ERROR, score=None, failure=failure)
    own = tuple(replace(reply, scorer="") for reply in sample.replies if reply.scorer == scorer)
    return replace(sample, state=State.PASSED if score.passed else State.MISSED, score=score, replies=own)


def is_unscored(sample: Sample | None) -> bool:
    """Whether a result of `part_of` has an answer that its scorer has not scored."""
    return sample is not None and sample.failure is not None and sample.failure.kind == _UNSCORED
