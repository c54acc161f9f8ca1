"""A judge asked about answers that people have labelled."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError, ScorerError
from pytest_finetune.base.records import Failure
from pytest_finetune.evaluation.asked_models import AskedTarget
from pytest_finetune.evaluation.budget import Budget
from pytest_finetune.verdicts.calibration import CalibrationRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.base.records import Completion
    from pytest_finetune.evaluation.configured_prices import ConfiguredPrices
    from pytest_finetune.evaluation.engine import Limits
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.calibration import LabelledCase
    from pytest_finetune.verdicts.scoring.scorers.judge import JudgeScorer


async def ask_judge(
    target: Target,
    scorer: JudgeScorer,
    labelled: Sequence[LabelledCase],
    limits: Limits,
    *,
    prices: ConfiguredPrices,
    progress: Callable[[int, int], None],
) -> tuple[CalibrationRecord, list[str]]:
    """
    Ask the judge about each labelled answer.

    Args:
        target: The judge.
        scorer: Its rubric, and how its replies are read.
        labelled: The answers.
        limits: Concurrency, deadline and budget.
        prices: What the project configures.
        progress: Called after each reply with the number of replies, and the number of answers.

    Returns:
        The record, and one line for each answer that the judge gave no usable verdict on.

    Raises:
        PriceError: The budget is limited and the judge's price is unknown.
        RunError: The judge can be asked no more, or the budget is spent.
    """
    asked = AskedTarget(target, limits, prices)
    asked.refuse_unknown_price()
    budget = None if limits.max_cost is None else Budget(limits.max_cost)
    slots = asyncio.Semaphore(limits.concurrency)
    verdicts: dict[str, str | float | None] = {}
    names, unusable = set[str](), list[str]()

    async def ask(case: LabelledCase) -> None:
        verdicts[case.sha256], problem = None, ""
        replies: list[Completion] = []
        for request in scorer.questions(case.case, case.answer, target.model, case.baseline):
            async with slots:
                outcome, _ = await asked.ask(request, budget)
            if isinstance(outcome, Failure):
                problem = outcome.message
                break
            names.add(outcome.model)
            replies.append(scorer.received(outcome, target.model))
        if not problem:
            try:
                verdicts[case.sha256] = scorer.combined(replies)
            except ScorerError as error:
                problem = error.problem
        if problem:
            unusable.append(f"line {case.case.line}: {problem}")
        progress(len(verdicts), len(labelled))

    try:
        await asyncio.gather(*map(ask, labelled))
        stopped = asked.stopped
    finally:
        await asked.close()
    if stopped is not None:
        raise RunError(stopped.message, target.spec, "fix the cause and repeat the command; nothing was written")
    record = CalibrationRecord(
        judge=target.spec,
        model=target.model,
        base_url=target.base_url,
        answered_by=tuple(sorted(names)),
        judge_sha256=scorer.judge_sha256(target.model),
        verdicts=dict(sorted(verdicts.items())),
    )
    return record, unusable
