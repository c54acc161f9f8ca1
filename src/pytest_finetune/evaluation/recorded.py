"""An evaluation in the foreground, from its record to its verdicts: what a command without pytest needs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.configured_prices import NO_PRICES
from pytest_finetune.evaluation.evaluation import Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Failure
    from pytest_finetune.evaluation.asked_models import MakeAsked
    from pytest_finetune.evaluation.configured_prices import ConfiguredPrices
    from pytest_finetune.evaluation.engine import KeyedRequest, Limits
    from pytest_finetune.evaluation.plan import Planned
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.evaluation.shards import Shard
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    An evaluation and its record.

    Args:
        evaluation: The evaluation; its `run` is None if no sample was recorded.
        results: One for each eval set.
        requested: Samples that were requested now; the others were on record.
    """

    evaluation: Evaluation
    # `asyncio.run` of Python 3.11 makes the repr of what its coroutine returned: 8 s for 100,000 samples.
    results: tuple[SetResult, ...] = field(repr=False)
    requested: int

    @property
    def stopped(self) -> Failure | None:
        """Why the evaluation stopped early; None if it did not."""
        return self.evaluation.stopped

    @property
    def run(self) -> Run:
        """
        The record, closed if no sample is missing.

        Raises:
            RunError: Nothing was recorded, because the evaluation stopped before its first answer.
        """
        if self.evaluation.run is None:
            reason = self.stopped.message if self.stopped else "no sample was requested"
            raise RunError(f"nothing was recorded: {reason}", self.evaluation.target.spec)
        return self.evaluation.run


def evaluate_target(
    target: Target,
    eval_sets: Sequence[EvalSet],
    limits: Limits,
    *,
    store: RunStore,
    root: Path,
    baselines: Mapping[str, Baseline] | None = None,
    prices: ConfiguredPrices = NO_PRICES,
    fresh: bool = False,
    to_the_end: bool = False,
    keep_files: bool = True,
    progress: Callable[[int, int], None] | None = None,
    make_asked: MakeAsked | None = None,
) -> Recorded:
    """
    Request what is not on record yet, and judge; `aevaluate_target` describes arguments and errors.

    Raises:
        KeyboardInterrupt: The user interrupted; all answers are on record.
    """
    return asyncio.run(
        aevaluate_target(
            target,
            eval_sets,
            limits,
            store=store,
            root=root,
            baselines=baselines,
            prices=prices,
            fresh=fresh,
            to_the_end=to_the_end,
            keep_files=keep_files,
            progress=progress,
            make_asked=make_asked,
        )
    )


async def aevaluate_target(
    target: Target,
    eval_sets: Sequence[EvalSet],
    limits: Limits,
    *,
    store: RunStore,
    root: Path,
    baselines: Mapping[str, Baseline] | None = None,
    prices: ConfiguredPrices = NO_PRICES,
    fresh: bool = False,
    to_the_end: bool = False,
    keep_files: bool = True,
    progress: Callable[[int, int], None] | None = None,
    make_asked: MakeAsked | None = None,
    shard: Shard | None = None,
) -> Recorded:
    """
    Request what is not on record yet, and judge. A record without a sample is removed.

    Args:
        target: The model under test.
        eval_sets: The plan.
        limits: Concurrency, deadline and budget.
        store: Where runs are recorded.
        root: The folder that names of eval sets are relative to.
        baselines: What gates compare with, by the name of the eval set.
        prices: What the project configures; they win over the price lists.
        to_the_end: Request all samples even if sequential gates are decided, for a run that others are compared with.
        fresh: Request all samples; otherwise an earlier run of the same plan is resumed, or taken as it is.
        keep_files: Copy the eval sets into the record.
        progress: Called after each answer with the number of samples there are, and the number planned.
        make_asked: Makes the targets that scorers ask, such as judges.
        shard: The share of the cases to request; None for all of them.

    Raises:
        TargetError: A model that a scorer asks cannot be asked.
        PriceError: The budget is limited and the model's price is unknown.
        RunError: A record is damaged.
        TrainingError: A batch cannot be sent or collected.
        asyncio.CancelledError: The task was cancelled; all answers are on record.
    """
    # A share of the answers decides no gate.
    to_the_end = to_the_end or shard is not None
    evaluation = Evaluation(target, eval_sets, limits, prices=prices, make_asked=make_asked, to_the_end=to_the_end)
    evaluation.compare_with(baselines or {})
    evaluation.refuse_unknown_price()
    name = str(shard) if shard else ""
    run = evaluation.open_record(store, root=root, resume=not fresh, closed_too=True, keep_files=keep_files, shard=name)
    evaluation.take_recorded()
    missing = evaluation.collected.missing()
    if shard is not None:
        share = shard.keys(evaluation.eval_sets)
        missing = [planned for planned in missing if planned.key in share]
    if not run.manifest.closed:
        try:
            await evaluation.fetch(missing)
            await _request_all(evaluation, missing, progress)
        except BaseException:
            run.release()
            evaluation.discard_empty_record()
            raise
    results = evaluation.conclude(baselines)
    evaluation.discard_empty_record()
    requested = len(missing) - sum(result.unneeded for result in results)
    return Recorded(evaluation, tuple(results), requested)


async def _request_all(
    evaluation: Evaluation, missing: Sequence[Planned], progress: Callable[[int, int], None] | None
) -> None:
    planned = len(evaluation.samples) + len(missing)
    async for _ in evaluation.request(_InOrder(missing, evaluation)):
        if progress is not None:
            progress(len(evaluation.samples), planned)


class _InOrder:
    """Planned samples one after the other."""

    def __init__(self, planned: Sequence[Planned], evaluation: Evaluation) -> None:
        self._left, self._evaluation = list(planned)[::-1], evaluation
        self._changed = asyncio.Event()

    async def next(self) -> KeyedRequest[Planned] | None:
        # The caller has just added an answer.
        self._changed.set()
        collected = self._evaluation.collected
        while self._left:
            if collected.must_wait(self._left[-1]):
                self._changed.clear()
                await self._changed.wait()
                continue
            planned = self._left.pop()
            if self._evaluation.skip(planned) is None:
                return planned.request(self._evaluation.target.model)
        return None

    def close(self) -> None:
        self._left.clear()
        self._changed.set()
