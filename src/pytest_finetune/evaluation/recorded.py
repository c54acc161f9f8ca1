"""A target asked some eval sets and judged, with its record: what a command needs that asks without pytest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import PriceError
from pytest_finetune.evaluation.evaluation import Evaluation, set_plan, target_info
from pytest_finetune.evaluation.runs.copies import keep_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.engine import Limits, Question
    from pytest_finetune.evaluation.evaluation import Key, Planned
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, RunStore, TargetInfo
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    One evaluation and its record.

    Args:
        run: The record, closed where nothing is missing.
        results: One for each eval set.
        asked: Samples that were asked now; the others were on record.
        stopped: Why asking ended early; empty where it did not.
    """

    run: Run
    results: tuple[SetResult, ...]
    asked: int
    stopped: str = ""


class RecordedEvaluation:
    """
    Asks eval sets in this process, and keeps what is answered.

    Args:
        store: Where runs are recorded.
        root: The folder that names of eval sets are relative to.
        limits: What asking may use.
        fresh: Ask everything; otherwise an earlier run of the same plan is gone on with, or taken as it is.
        keep_files: Copy the eval sets into the record.
        seen: Called after every answer with how many there are, and of how many.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        root: Path,
        limits: Limits,
        fresh: bool = False,
        keep_files: bool = True,
        seen: Callable[[int, int], None] | None = None,
    ) -> None:
        self._store, self._root, self._limits = store, root, limits
        self._fresh, self._keep_files, self._seen = fresh, keep_files, seen

    def run(
        self, target: Target, eval_sets: Sequence[EvalSet], baselines: Mapping[str, Baseline] | None = None
    ) -> Recorded:
        """
        Ask what is not on record yet, and judge.

        Raises:
            PriceError: The money is bounded, and what an answer costs is not known.
            RunError: A record is damaged.
            KeyboardInterrupt: Somebody broke it off; what was answered is on record.
        """
        evaluation = Evaluation(target, eval_sets, self._limits)
        if self._limits.max_cost is not None and not evaluation.has_price:
            problem = f"the price of {target.model} at {target.base_url or 'no server'} is not known"
            raise PriceError(f"{problem}, so a bound cannot be kept", "--max-cost", "go without, or with fewer cases")
        run = evaluation.run = self._record(target_info(target), eval_sets)
        samples = run.answered()
        missing = [planned for planned in evaluation.plan() if planned.key not in samples]
        if not run.manifest.closed:
            try:
                asyncio.run(self._ask(evaluation, missing, samples))
            finally:
                run.release()
        results = evaluation.judge(samples, baselines)
        evaluation.close(results, samples)
        stopped = f"{evaluation.stopped.kind}: {evaluation.stopped.message}" if evaluation.stopped else ""
        return Recorded(run, tuple(results), len(missing), stopped)

    def _record(self, info: TargetInfo, eval_sets: Sequence[EvalSet]) -> Run:
        plans = [set_plan(eval_set) for eval_set in eval_sets]
        earlier = None if self._fresh else self._earlier(info, plans)
        run = earlier or self._store.create(info, plans, folder=self._root)
        if self._keep_files and not run.manifest.closed:
            keep_copies(run, eval_sets, root=self._root)
        return run

    def _earlier(self, info: TargetInfo, plans: Sequence[EvalSetPlan]) -> Run | None:
        found = self._store.resume(info, plans, closed_too=True)
        return None if found is None or (found.manifest.closed and found.seal_fault) else found

    async def _ask(self, evaluation: Evaluation, missing: Sequence[Planned], samples: dict[Key, Sample]) -> None:
        planned = len(samples) + len(missing)
        async for sample in evaluation.samples(_Questions(missing, evaluation.target.model)):
            samples[sample.key] = sample
            if self._seen is not None:
                self._seen(len(samples), planned)


class _Questions:
    """Planned samples one after the other."""

    def __init__(self, planned: Sequence[Planned], model: str) -> None:
        self._left, self._model = list(planned)[::-1], model

    async def next(self) -> Question[Planned] | None:
        return self._left.pop().question(self._model) if self._left else None

    def close(self) -> None:
        self._left.clear()
