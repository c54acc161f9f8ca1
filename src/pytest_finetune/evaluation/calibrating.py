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
    asking = _Asking(target, scorer, limits, prices)
    await asking.ask_all(labelled, progress)
    record = CalibrationRecord(
        judge=target.spec,
        model=target.model,
        base_url=target.base_url,
        answered_by=tuple(sorted(asking.names)),
        judge_sha256=scorer.judge_sha256(target.model),
        verdicts=dict(sorted(asking.verdicts.items())),
    )
    return record, asking.unusable


class _Asking:
    """A judge that is asked about all labelled answers, and what it has replied so far."""

    def __init__(self, target: Target, scorer: JudgeScorer, limits: Limits, prices: ConfiguredPrices) -> None:
        self._target, self._scorer = target, scorer
        self._asked = AskedTarget(target, limits, prices)
        self._asked.refuse_unknown_price()
        self._budget = None if limits.max_cost is None else Budget(limits.max_cost)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self.verdicts: dict[str, str | float | None] = {}
        self.names: set[str] = set()
        self.unusable: list[str] = []

    async def ask_all(self, labelled: Sequence[LabelledCase], progress: Callable[[int, int], None]) -> None:
        async def ask(case: LabelledCase) -> None:
            await self._ask(case)
            progress(len(self.verdicts), len(labelled))

        try:
            await asyncio.gather(*map(ask, labelled))
            stopped = self._asked.stopped
        finally:
            await self._asked.close()
        if stopped is not None:
            hint = "fix the cause and repeat the command; nothing was written"
            raise RunError(stopped.message, self._target.spec, hint)

    async def _ask(self, case: LabelledCase) -> None:
        self.verdicts[case.sha256] = None
        replies: list[Completion] = []
        for request in self._scorer.questions(case.case, case.answer, self._target.model, case.baseline):
            async with self._slots:
                outcome, _ = await self._asked.ask(request, self._budget)
            if isinstance(outcome, Failure):
                self._add_unusable(case, outcome.message)
                return
            self.names.add(outcome.model)
            replies.append(self._scorer.received(outcome, self._target.model))
        try:
            self.verdicts[case.sha256] = self._scorer.combined(replies)
        except ScorerError as error:
            self._add_unusable(case, error.problem)

    def _add_unusable(self, case: LabelledCase, problem: str) -> None:
        self.unusable.append(f"line {case.case.line}: {problem}")
