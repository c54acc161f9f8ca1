"""The figures of one case, summed over its attempts, for a table row or JUnit properties."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.records import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Sample


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """
    The figures of one case for one model.

    Args:
        passed: Attempts that passed.
        attempts: Planned attempts.
        fields: Correct fields and all fields, for a single attempt whose scorer counts them.
        latency: Mean seconds per answer; cached answers and those of batches are excluded. None if there are no others.
        from_cache: Whether at least one answer came from the response cache.
        tokens: Prompt and completion tokens of all answers; None if there are none, or if any has no usage.
        cost: US dollars for all attempts; None if the cost of any is unknown.
        why: Kind of the first format failure or error; empty if there was none.
    """

    passed: int
    attempts: int
    fields: tuple[int, int] | None
    latency: float | None
    from_cache: bool
    tokens: int | None
    cost: Decimal | None
    why: str


def case_figures(samples: Sequence[Sample]) -> CaseFigures:
    """The figures of a case's samples, at least one."""
    answers = [sample.completion for sample in samples if sample.completion]
    timed = [completion.latency for completion in answers if completion.is_timed]
    usages = [completion.usage for completion in answers]
    counted = [usage.prompt + usage.completion for usage in usages if usage]
    costs = [sample.cost for sample in samples if sample.cost is not None]
    only = samples[0].score if len(samples) == 1 else None
    return CaseFigures(
        passed=sum(sample.state is State.PASSED for sample in samples),
        attempts=len(samples),
        fields=only.fields if only else None,
        latency=sum(timed) / len(timed) if timed else None,
        from_cache=any(completion.from_cache for completion in answers),
        tokens=sum(counted) if counted and len(counted) == len(usages) else None,
        cost=sum(costs, Decimal(0)) if len(costs) == len(samples) else None,
        why=_why(samples),
    )


def _why(samples: Sequence[Sample]) -> str:
    kinds = (
        sample.failure.kind if sample.failure else sample.score.format_failure if sample.score else None
        for sample in samples
        if sample.state is not State.PASSED
    )
    return next((str(kind) for kind in kinds if kind), "")
