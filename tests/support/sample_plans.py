"""Made-up plans and samples, for tests of metrics and gates."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.records import Case, Completion, Failure, FormatFailure, Sample, Score, State, Usage
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.metrics import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_finetune.verdicts.metrics import SampleTable
    from pytest_finetune.verdicts.rule import Rule

SET = "eval_sets/s.jsonl"


def case(number: int, expected: str = "bug", tags: tuple[str, ...] = (), **metadata: object) -> Case:
    return Case(f"c{number}", number + 1, (), (expected,), tags=tags, metadata=metadata)


def cases(count: int) -> list[Case]:
    return [case(number) for number in range(count)]


def sample(
    number: int,
    state: State | str = State.PASSED,
    attempt: int = 0,
    *,
    score: Score | None = None,
    text: str = "bug",
    latency: float = 1.0,
    usage: Usage | None = None,
    cost: str | None = None,
    model: str = "m",
    from_cache: bool = False,
) -> Sample:
    state = State(state)
    if state is State.ERROR:
        return Sample(SET, f"c{number}", attempt, state, failure=Failure("timeout", "too slow"))
    if state is State.UNRUN:
        return Sample(SET, f"c{number}", attempt, state)
    completion = Completion(text, latency=latency, usage=usage, model=model, from_cache=from_cache)
    judged = score or Score(state is State.PASSED)
    price = None if cost is None else Decimal(cost)
    return Sample(SET, f"c{number}", attempt, state, completion, judged, cost=price, prompt_sha256=f"q{number}")


def run_of(passed: int, missed: int = 0, errors: int = 0) -> list[Sample]:
    """One attempt per case: first the passed ones, then the missed, then the errors."""
    states = [State.PASSED] * passed + [State.MISSED] * missed + [State.ERROR] * errors
    return [sample(number, state) for number, state in enumerate(states)]


def rules(*gates: dict[str, Any], max_errors: int = 0) -> list[Rule]:
    """The rules of gates written as in a settings file."""
    return EvalSettings.model_validate({"gates": list(gates), "max_errors": max_errors}).rules


def table(planned: Sequence[Case], samples: Iterable[Sample], repeats: int = 1) -> SampleTable:
    """Samples placed in their plan; every case expects its first answer as a label."""
    return lay_out(
        planned,
        samples,
        repeats=repeats,
        eval_set=SET,
        cases_sha256="today",
        expected_label=lambda case: str(case.expected[0]),
    )


def labelled(number: int, expected: str, answered: str, attempt: int = 0) -> Sample:
    """A scored label; an empty one is an answer outside the labels."""
    passed = expected == answered
    failure = None if answered else FormatFailure.NOT_IN_ENUM
    state = State.PASSED if passed else State.MISSED
    return sample(number, state, attempt, score=Score(passed, failure, label=answered), text=answered)


def shaped(number: int, shape: str, attempt: int = 0, text: str = "") -> Sample:
    """A valid JSON answer of a shape."""
    return sample(number, attempt=attempt, score=Score(passed=True, shape=shape), text=text)
