"""One case of a plan with a place for every planned attempt, so that no planned sample drops out of a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Completion, Sample, Score


@dataclass(frozen=True, slots=True)
class CaseSamples:
    """A case with its planned attempts in order; None is a sample that was never requested."""

    case: Case
    samples: tuple[Sample | None, ...]

    def count(self, state: State) -> int:
        """Number of attempts that ended in `state`; a missing sample is unrun."""
        return sum(state_of(sample) is state for sample in self.samples)

    def passes(self, needed: int | None = None) -> bool:
        """Whether at least `needed` attempts passed; without it, all of them."""
        return self.count(State.PASSED) >= (len(self.samples) if needed is None else needed)

    @property
    def completions(self) -> list[Completion]:
        """The answers of the model."""
        return [sample.completion for sample in self.samples if sample and sample.completion]

    @property
    def scores(self) -> list[Score]:
        """Scores of the answers that could be scored."""
        return [sample.score for sample in self.samples if sample and sample.score]


def groups_of(rows: Sequence[CaseSamples]) -> tuple[str, ...] | None:
    """The group of each case, cases without one being groups of their own; None if none is in a group."""
    if not any(row.case.group for row in rows):
        return None
    return tuple(f"group {row.case.group}" if row.case.group else f"case {row.case.id}" for row in rows)


def state_of(sample: Sample | None) -> State:
    """The state of a place in the plan."""
    return sample.state if sample else State.UNRUN
