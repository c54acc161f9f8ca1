"""The plan as a table, one row a case with a place for every attempt: nothing that was planned can drop out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_finetune.base.records import Case, Completion, Sample, Score


@dataclass(frozen=True, slots=True)
class CaseSamples:
    """A case with its planned attempts in order; None stands for a sample that was never made."""

    case: Case
    samples: tuple[Sample | None, ...]

    def count(self, state: State) -> int:
        """How many attempts ended in `state`; a missing sample is unrun."""
        return sum(state_of(sample) is state for sample in self.samples)

    def passes(self, needed: int | None = None) -> bool:
        """Whether at least `needed` attempts passed; without it, all of them."""
        return self.count(State.PASSED) >= (len(self.samples) if needed is None else needed)

    @property
    def completions(self) -> list[Completion]:
        """What the target answered."""
        return [sample.completion for sample in self.samples if sample and sample.completion]

    @property
    def scores(self) -> list[Score]:
        """Scores of the answers that could be judged."""
        return [sample.score for sample in self.samples if sample and sample.score]


def state_of(sample: Sample | None) -> State:
    """How a place in the plan ended."""
    return sample.state if sample else State.UNRUN


def lay_out(
    cases: Sequence[Case], repeats: int, samples: Iterable[Sample], eval_set: str | None = None
) -> tuple[CaseSamples, ...]:
    """
    Put samples in their places of the plan, cases x repeats, whatever order they came in.

    Samples of other eval sets, and of cases and attempts that were not planned, are left out.

    Raises:
        ValueError: Two samples claim one place, so that the order they came in would decide.
    """
    found: dict[tuple[str, int], Sample] = {}
    for sample in samples:
        if eval_set is not None and sample.eval_set != eval_set:
            continue
        place = sample.case_id, sample.attempt
        if place in found and found[place] != sample:
            raise ValueError(f"two samples for attempt {sample.attempt} of case {sample.case_id!r}")
        found[place] = sample
    return tuple(
        CaseSamples(case, tuple(found.get((case.id, attempt)) for attempt in range(repeats))) for case in cases
    )


def in_slice(case: Case, where: Mapping[str, Any]) -> bool:
    """Whether a case has every fact of `where`: `tag` among its tags, any other key equal in its metadata."""
    return all(
        value in case.tags if key == "tag" else _same(case.metadata.get(key), value) for key, value in where.items()
    )


def _same(found: Any, wanted: Any) -> bool:
    # To Python, 1 is True; to the person who wrote the gate it is not.
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
