"""The models of one session: requested ahead in the background, collected from other processes, judged together."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.background import BackgroundEvaluation, LoopThread
from pytest_finetune.evaluation.baseline import Baselines, recorded_baselines, session_baselines
from pytest_finetune.evaluation.plan import Planned, target_info
from pytest_finetune.evaluation.record import UNRECORDED
from pytest_finetune.evaluation.stop_notice import StopNotice
from pytest_finetune.evaluation.targets import BatchingTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_finetune.base.records import Case, Failure, Sample
    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.evaluation.tally import Tally
    from pytest_finetune.verdicts.evalset import EvalSet


@dataclass
class ModelUnderTest:
    """
    One model with its evaluation.

    Args:
        spec: As given by `--model` or `--baseline`.
        evaluation: Its samples and its record.
        judged: False for a baseline that is evaluated in the same session: its misses fail nothing.
        background: The evaluation in this process, once it has started.
        notice: Where the processes of the session learn that one has stopped.
    """

    spec: str
    evaluation: Evaluation
    judged: bool = True
    background: BackgroundEvaluation | None = None
    notice: StopNotice | None = None

    @property
    def stopped(self) -> Failure | None:
        """Why the model's evaluation stopped early; None if it did not, or if it is still ending in this process."""
        return self.background.stopped if self.background else self.evaluation.stopped


class ModelsUnderTest:
    """
    The models of one session.

    Args:
        models: In the order of reports.
        eval_sets: What they are evaluated on.
        tally: Counts their samples.
        resume: Resume unfinished runs.
        baseline: Spec of the model among `models` that the others are compared with, or of a run that
            `compare_with_run` is given; empty for the recorded ones.
        recorded: Recorded baselines by name of the eval set.
    """

    def __init__(
        self,
        models: Sequence[ModelUnderTest],
        *,
        eval_sets: Sequence[EvalSet],
        tally: Tally,
        resume: bool = False,
        baseline: str = "",
        recorded: Baselines | None = None,
    ) -> None:
        self.all, self.tally = list(models), tally
        self._eval_sets, self._resume = list(eval_sets), resume
        self._baseline, self._recorded = baseline, recorded or {}
        self.baseline_run: Run | None = None
        for model in self.judged:
            model.evaluation.compare_with(self._recorded)
        # Entered around each wait for samples; what it yields is called every `TICK` seconds.
        self.waiting: Callable[[], AbstractContextManager[Callable[[], None] | None]] = nullcontext

    @property
    def judged(self) -> list[ModelUnderTest]:
        """All but a baseline."""
        return [model for model in self.all if model.judged]

    @property
    def several(self) -> bool:
        """Whether names of tests have to include the model."""
        return len(self.all) > 1

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluation of each model."""
        return [model.evaluation for model in self.all]

    @property
    def compared(self) -> set[str]:
        """Names of the eval sets that have a baseline."""
        if any(model.spec == self._baseline for model in self.all):
            return {eval_set.name for eval_set in self._eval_sets}
        return set(self._recorded)

    def compare_with_run(self, run: Run) -> None:
        """
        Use a recorded run as the baseline.

        Raises:
            RunError: The record is damaged.
            ScorerError: The user's scoring function failed on a recorded answer.
        """
        self.baseline_run = run
        self._recorded = recorded_baselines(self._baseline, run, self._eval_sets)
        for model in self.judged:
            model.evaluation.compare_with(self._recorded)

    def open_runs(self, store: RunStore, root: Path, *, limited: bool = False) -> None:
        """
        Create or resume the record of every model that has none yet.

        `limited` marks them as a first look at a sample of the cases.

        Raises:
            RunError: There is nothing to resume.
        """
        if not self._eval_sets:
            return
        for evaluation in self.evaluations:
            if evaluation.run is None:
                evaluation.open_record(store, root=root, resume=self._resume, closed_too=self.several, limited=limited)
        if self._resume and all(one.run is None or one.run.manifest.closed for one in self.evaluations):
            names = ", ".join(model.spec for model in self.all)
            problem = f"every run of {names} over these eval sets is closed"
            raise RunError(problem, str(store.root), "run without --resume to start one")

    def refuse_unknown_prices(self) -> None:
        """
        Check that a budget can be kept.

        Raises:
            PriceError: A model's price is unknown while the budget is limited.
        """
        for evaluation in self.evaluations:
            evaluation.refuse_unknown_price()

    @property
    def run_paths(self) -> dict[str, str]:
        """The record of each model, for the processes that join it."""
        return {model.spec: str(model.evaluation.run.path) for model in self.all if model.evaluation.run}

    def join_runs(self, paths: Mapping[str, str]) -> None:
        """Append to the records that another process has opened."""
        for model in self.all:
            if model.spec in paths and model.evaluation.run is None:
                model.evaluation.join_record(Path(paths[model.spec]))

    def share(self, folder: Path, *, create: bool = False) -> None:
        """
        Share budgets with the other processes of the session, and stop as soon as one of them stops.

        Args:
            folder: The same in all of them.
            create: This process is the first.
        """
        for number, model in enumerate(self.all):
            model.notice = StopNotice(folder / f"stopped-{number}.json")
            model.evaluation.spending.share(folder / f"spent-{number}.json", create=create)
            model.evaluation.follow_others()

    @property
    def is_shared(self) -> bool:
        """Whether `share` was called."""
        return any(model.notice for model in self.all)

    def collect_stops(self) -> None:
        """Take the reasons that other processes have left."""
        for model in self.all:
            if model.notice and (reason := model.notice.find()):
                model.evaluation.collect_stop(reason)

    def fetch(self, cases: Iterable[tuple[ModelUnderTest, EvalSet, Case]]) -> None:
        """
        Have the answers to these cases ready where a model is sent all requests at once, which may take a day.

        Raises:
            FinetuneError: A batch cannot be sent or collected; `resume` continues.
            KeyboardInterrupt: The user interrupted; the batches go on.
        """
        wanted: dict[str, dict[Key, Planned]] = {model.spec: {} for model in self.all}
        for model, eval_set, case in cases:
            wanted[model.spec] |= {planned.key: planned for planned in _planned(eval_set, case)}
        at_once = [model for model in self.all if isinstance(model.evaluation.target, BatchingTarget)]
        for model in at_once if self._resume else ():
            model.evaluation.take_recorded()

        async def fetch_all() -> None:
            missing = [
                (one, [each for key, each in wanted[one.spec].items() if key not in one.evaluation.samples])
                for one in at_once
            ]
            await asyncio.gather(*(model.evaluation.fetch(planned) for model, planned in missing))

        try:
            if at_once:
                asyncio.run(fetch_all())
        except BaseException:
            for evaluation in self.evaluations:
                evaluation.discard_empty_record()
            raise

    def request_ahead(self, cases: Iterable[tuple[ModelUnderTest, EvalSet, Case]]) -> None:
        """Queue cases in the order in which they will be read."""
        wanted: dict[str, list[Planned]] = {model.spec: [] for model in self.all}
        for model, eval_set, case in cases:
            wanted[model.spec].extend(_planned(eval_set, case))
        for model in self.all:
            if wanted[model.spec]:
                self._background(model).queue(_in_asking_order(wanted[model.spec]))

    def samples_of(self, model: ModelUnderTest, eval_set: EvalSet, case: Case) -> list[Sample]:
        """Wait for all samples of one case."""
        background, planned = self._background(model), _planned(eval_set, case)
        # A fixture that a test requests by name while it runs was not foreseen.
        background.queue(planned)
        with self.waiting() as waiting:
            return [background.take(sample.key, waiting) for sample in planned]

    def collect(self, spec: str, samples: Iterable[Sample], stopped: Failure | None) -> None:
        """
        Take samples that another process reports; the first report of a sample counts, so a rerun changes nothing.

        Args:
            spec: The model's.
            samples: Those of one case.
            stopped: Why the model's evaluation stopped in that process.
        """
        model = next(model for model in self.all if model.spec == spec)
        if model.background is not None:
            # This process has requested them, so the evaluation has them already.
            return
        if stopped:
            model.evaluation.collect_stop(stopped)
        for sample in samples:
            if model.evaluation.collected.collect(sample):
                self.tally.count_sample(spec, sample)

    @property
    def stopped(self) -> Failure | None:
        """Why no model can be evaluated any more, or recorded; None while one can."""
        ended = [evaluation.stopped for evaluation in self.evaluations]
        unrecorded = next((failure for failure in ended if failure and failure.kind == UNRECORDED), None)
        reasons = [model.stopped for model in self.all]
        return unrecorded or (reasons[0] if all(reasons) else None)

    def stop(self) -> None:
        """Send no further requests, and end the background thread."""
        for model in self.all:
            if model.background is not None:
                model.background.stop()
        if "_loop" in self.__dict__:
            self._loop.stop()
            del self._loop

    def judge(self) -> list[SetResult]:
        """The verdicts of all models on all eval sets; records get them too, and those without a sample are removed."""
        baselines = self._baselines()
        results = [
            result for model in self.all for result in model.evaluation.conclude(baselines if model.judged else None)
        ]
        for evaluation in self.evaluations:
            evaluation.discard_empty_record()
        return results

    @cached_property
    def _loop(self) -> LoopThread:
        """The one event loop of this process, started with the first request."""
        return LoopThread()

    def _background(self, model: ModelUnderTest) -> BackgroundEvaluation:
        if model.background is None:
            if self._resume:
                model.evaluation.take_recorded()
            model.background = BackgroundEvaluation(model.evaluation, self._loop, tally=self.tally, notice=model.notice)
        return model.background

    def _baselines(self) -> Baselines:
        for model in self.all:
            if model.spec == self._baseline:
                target, run = target_info(model.evaluation.target), model.evaluation.run
                return session_baselines(
                    self._baseline,
                    target,
                    model.evaluation.samples,
                    self._eval_sets,
                    run=run.id if run else "",
                )
        return self._recorded


def _in_asking_order(planned: Sequence[Planned]) -> list[Planned]:
    """The samples of sets with sequential gates in the order of their looks, although tests may be shuffled."""
    found = list(planned)
    for eval_set in {one.eval_set for one in planned if one.eval_set.is_sequential}:
        rank = {case.id: place for place, case in enumerate(eval_set.in_asking_order)}
        places = [place for place, one in enumerate(planned) if one.eval_set is eval_set]
        ordered = sorted((planned[place] for place in places), key=lambda one: (rank[one.case.id], one.attempt))
        for place, one in zip(places, ordered, strict=True):
            found[place] = one
    return found


def _planned(eval_set: EvalSet, case: Case) -> list[Planned]:
    return [Planned(eval_set, case, attempt) for attempt in range(eval_set.repeats)]
