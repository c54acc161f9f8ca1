"""From gates and samples to verdicts: first whether the evidence is whole, then what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.verdicts.gates.bars import judge_bar, judge_must_pass
from pytest_finetune.verdicts.gates.baselines import judge_against
from pytest_finetune.verdicts.gates.completeness import what_is_missing
from pytest_finetune.verdicts.gates.question import Question
from pytest_finetune.verdicts.gates.verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_finetune.base.records import Case, Sample
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.gates.verdict import Baseline


def judge(
    settings: EvalSettings,
    eval_set: str,
    cases: Sequence[Case],
    repeats: int,
    samples: Iterable[Sample],
    *,
    baseline: Baseline | None = None,
    cases_sha256: str = "",
    expected_label: Callable[[Case], str] | None = None,
) -> list[Verdict]:
    """
    The verdicts of all gates of one eval set, in the order they were written. The order of samples plays no part.

    Args:
        settings: With the gates and the tolerated errors.
        eval_set: Its name, by which its samples are found.
        cases: All planned cases, not only those that were asked.
        repeats: Planned attempts a case.
        samples: What came of the plan; what is missing counts as unrun.
        baseline: The run that `against` compares with.
        cases_sha256: Hash of the cases, which the baseline's has to equal.
        expected_label: The label a case expects, after normalizing; None where answers are no labels.

    Raises:
        ValueError: Two samples claim one place in the plan.
    """
    own = tuple(samples)
    return [
        _judge(Question(gate, settings, eval_set, tuple(cases), repeats, own, baseline, cases_sha256, expected_label))
        for gate in settings.judged_by
    ]


def _judge(question: Question) -> Verdict:
    if missing := what_is_missing(question):
        return question.verdict(Status.INCOMPLETE, f"incomplete: {missing}")
    if question.gate.must_pass:
        return judge_must_pass(question)
    if question.gate.against is not None:
        return judge_against(question)
    return judge_bar(question)
