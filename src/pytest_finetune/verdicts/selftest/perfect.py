"""A run of a model that is always right, as far as right answers can be built from the cases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Failure, Sample, State
from pytest_finetune.base.text import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_finetune.base.records import Case, Completion
    from pytest_finetune.verdicts.evalset import EvalSet


def perfect_run(eval_set: EvalSet) -> list[Sample]:
    """One sample per case, in file order; one that is not `passed` has no right answer that could be built."""
    return [_right_answer(eval_set, case) for case in eval_set.cases]


def without_asking(eval_set: EvalSet) -> EvalSet:
    """The set without the scorers that ask a model, apart from the one that decides."""
    asking = eval_set.asking
    others = {name: other for name, other in eval_set.others.items() if name not in asking}
    return replace(eval_set, others=others) if len(others) < len(eval_set.others) else eval_set


def scored(eval_set: EvalSet, case: Case, completion: Completion) -> Sample:
    """Score an answer as in a run: if the scorer raises, the sample is in error."""
    try:
        score = eval_set.score(case, completion)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - as in a run, whatever a scorer raises is an errored sample
        text = str(error) if isinstance(error, ScorerError) else described(error)
        failure = Failure("scorer", text)
        return Sample(eval_set.name, case.id, 0, State.ERROR, completion, failure=failure)
    return Sample(eval_set.name, case.id, 0, State.PASSED if score.passed else State.MISSED, completion, score)


def imperfection(eval_set: EvalSet, perfect: Sequence[Sample]) -> str:
    """Why a run is not perfect, in one clause; empty if it is."""
    wrong = [(case, sample) for case, sample in zip(eval_set.cases, perfect, strict=True) if not _is_right(sample)]
    if not wrong:
        return ""
    case, sample = wrong[0]
    return f"no right answer can be built for {len(wrong)} of {len(perfect)} cases; {case.id}: {_reason(sample)}"


def _right_answer(eval_set: EvalSet, case: Case) -> Sample:
    tried = Sample(eval_set.name, case.id, 0, State.UNRUN)
    for completion in eval_set.scorer.right_answers(case):
        tried = scored(eval_set, case, completion)
        if _is_right(tried):
            break
    return tried


def _is_right(sample: Sample) -> bool:
    return sample.state is State.PASSED


def _reason(sample: Sample) -> str:
    if sample.failure is not None:
        return sample.failure.message
    if sample.score is not None:
        return f"the scorer rejects the expected answer ({sample.score.detail})"
    return "the case has no expected answer"
