"""One evaluation from plan to verdicts, for the plugin and the commands: request, score, record, judge."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import FinetuneError, RunError, TargetError
from pytest_finetune.base.records import Completion, Failure, Sample
from pytest_finetune.evaluation.asked_models import AskedModels
from pytest_finetune.evaluation.baseline import answered_names, missing_baselines
from pytest_finetune.evaluation.batched_requests import BatchedRequests
from pytest_finetune.evaluation.collected import CollectedSamples
from pytest_finetune.evaluation.configured_prices import NO_PRICES, ConfiguredPrices
from pytest_finetune.evaluation.engine import Engine
from pytest_finetune.evaluation.others import RecordedByOthers
from pytest_finetune.evaluation.plan import SentRequests, sent_requests, set_plan, target_info
from pytest_finetune.evaluation.record import UNRECORDED, open_run, write_outcome
from pytest_finetune.evaluation.results import judge_set
from pytest_finetune.evaluation.runs import Run, sample_to_dict
from pytest_finetune.evaluation.runs.copies import keep_copies
from pytest_finetune.evaluation.runs.removal import remove_run
from pytest_finetune.evaluation.runs.run import SAMPLES
from pytest_finetune.evaluation.same_model import TargetAnswers, why_same
from pytest_finetune.evaluation.scoring import score_response
from pytest_finetune.evaluation.spending import Spending
from pytest_finetune.verdicts.evalset.request_form import changed_parameters
from pytest_finetune.verdicts.selftest import gap_warnings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Reply
    from pytest_finetune.evaluation.asked_models import MakeAsked
    from pytest_finetune.evaluation.engine import Limits, RequestSource, Response
    from pytest_finetune.evaluation.plan import Key, Planned
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import EvalSetPlan, RunStore
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline


class Evaluation:
    """
    One model over some eval sets: its samples are requested, scored, recorded and judged.

    Args:
        target: The model under test.
        eval_sets: The plan: all their cases, each `repeats` times.
        limits: Concurrency, deadline and budget.
        stop_when_decided: Skip the samples of an eval set once none of them can change one of its verdicts.
        to_the_end: Skip no sample because of sequential gates, as for a baseline, which others are compared with.
        prices: What the project configures; they win over the price lists.
        make_asked: Makes the targets that scorers ask, such as judges.

    Raises:
        TargetError: A model that a scorer asks cannot be asked.

    Attributes:
        spending: Prices and the budget.
        collected: The samples so far.
    """

    def __init__(
        self,
        target: Target,
        eval_sets: Iterable[EvalSet],
        limits: Limits,
        *,
        stop_when_decided: bool = False,
        to_the_end: bool = False,
        prices: ConfiguredPrices = NO_PRICES,
        make_asked: MakeAsked | None = None,
    ) -> None:
        self.target, self.limits = target, limits
        self._batches = BatchedRequests(target)
        self.spending = Spending(target, limits.max_cost, prices, batch=self._batches.are_used)
        self.eval_sets = tuple(eval_sets)
        recorded = getattr(target, "replies", None)
        self._asked = AskedModels(self.eval_sets, limits, prices, make=make_asked, recorded=recorded)
        self.collected = CollectedSamples(
            self.eval_sets,
            stop_when_decided=stop_when_decided,
            # A batch is paid for as a whole.
            to_the_end=to_the_end or self._batches.are_used,
        )
        self._run: Run | None = None
        self._others: RecordedByOthers | None = None
        self._stopped: Failure | None = None
        self._gaps: dict[str, list[str]] | None = None
        self._missing_baselines: list[str] = []

    @property
    def samples(self) -> Mapping[Key, Sample]:
        """By key: samples of this process, of a resumed run, and reported by other processes."""
        return self.collected.by_key

    @property
    def run(self) -> Run | None:
        """The record; None before one is opened."""
        return self._run

    @property
    def stopped(self) -> Failure | None:
        """Why the evaluation stopped before all samples were requested; None if it did not."""
        return self._stopped

    @property
    def warnings(self) -> tuple[str, ...]:
        """Probable mistakes in the eval sets, each after the name of its set, and what the target warns of."""
        if self._gaps is None:
            self._gaps = {eval_set.name: gap_warnings(eval_set) for eval_set in self.eval_sets}
        of_sets = [
            f"{eval_set.name}: {text}"
            for eval_set in self.eval_sets
            for text in (*eval_set.warnings, *self._gaps[eval_set.name])
        ]
        return (*of_sets, *self._missing_baselines, *getattr(self.target, "warnings", ()), *self._asked.warnings)

    def refuse_unknown_price(self) -> None:
        """
        Check that a budget can be kept.

        Raises:
            PriceError: The budget is limited and the model's price is unknown.
        """
        self.spending.refuse_unknown_price(self.eval_sets)
        self._asked.refuse_unknown_price()

    def sent(self, eval_set: EvalSet) -> SentRequests:
        """How the answers to an eval set are requested, or were, if they are recorded ones."""
        return sent_requests(self.target, eval_set)

    def plans(self) -> list[EvalSetPlan]:
        """The eval sets as they appear in the record; scorers that compare with a baseline need it first."""
        return [self._plan_of(each) for each in self.eval_sets]

    def compare_with(self, baselines: Mapping[str, Baseline]) -> None:
        """Give the recorded answers of a baseline to the scorers and the sequential gates that compare with one."""
        self.collected.compare_with(baselines)
        for eval_set in self.eval_sets:
            baseline = baselines.get(eval_set.name)
            if baseline is not None and baseline.cases_sha256 == eval_set.cases_sha256:
                answers = {one.key: one.completion for one in baseline.samples if one.completion}
                self._asked.baseline_answers |= answers

    def open_record(
        self,
        store: RunStore,
        *,
        root: Path,
        resume: bool = False,
        closed_too: bool = False,
        keep_files: bool = True,
        limited: bool = False,
        shard: str = "",
    ) -> Run:
        """
        Create the record, or resume an earlier run of the same plan.

        Args:
            store: Where runs are recorded.
            root: The folder that names of eval sets are relative to.
            resume: Resume the latest unfinished run.
            closed_too: If no run is unfinished, take the latest closed one whose seal is intact, else create one.
            keep_files: Copy the eval sets into the record.
            limited: Only a sample of the cases is requested, as a first look.
            shard: The share of the cases that is requested; empty for all of them.

        Raises:
            RunError: There is no run to resume, or its batches have to be collected.
            PriceError: The budget is limited and what the resumed run has cost is unknown.
        """
        run, resumed = open_run(
            store,
            target_info(self.target),
            self.plans(),
            folder=root,
            resume=resume,
            closed_too=closed_too,
            shard=shard,
        )
        self._run = run
        if not run.manifest.closed:
            if run.manifest.limited != limited:
                run.update(limited=limited)
            if keep_files:
                keep_copies(run, self.eval_sets, root=root)
        if resumed and not run.manifest.closed:
            try:
                self._batches.refuse_uncollected(run)
                self.spending.count_earlier(run, self.eval_sets)
            except FinetuneError:
                run.release()
                raise
        return run

    def join_record(self, path: Path) -> None:
        """
        Append to a record that another process has opened.

        Raises:
            RunError: It cannot be read.
        """
        self._run = Run.load(path)

    def take_recorded(self) -> None:
        """
        Take the samples of a resumed run; those that ended in an error are requested again, unless the run is closed.

        Raises:
            RunError: The record is damaged.
        """
        if self._run is None:
            return
        recorded = self._run.samples() if self._run.manifest.closed else self._run.answered()
        for sample in recorded.values():
            self.collected.add(sample)
        if self._run.manifest.closed:
            # What a closed run lacks was not needed, if its answers still say so.
            for planned in self.collected.missing():
                self.collected.skip(planned)

    def follow_others(self) -> None:
        """Let the answers that other processes record count for sequential gates."""
        if self._run is not None and any(eval_set.is_sequential for eval_set in self.eval_sets):
            self._others = RecordedByOthers(self._run.path / SAMPLES)

    def skip(self, planned: Planned) -> Sample | None:
        """The sample in state `unneeded` if the verdicts of its eval set are decided without it, else None."""
        for sample in self._others.new() if self._others else ():
            self.collected.count(sample)
        return self.collected.skip(planned)

    async def fetch(self, planned: Sequence[Planned]) -> None:
        """
        Have the answers to these samples ready, if the target is sent all requests at once.

        Raises:
            FinetuneError: The batches cannot be sent or collected; `--resume` continues.
        """
        if self._run is not None:
            await self._batches.fetch(self._run, planned, self.spending)

    def collect_stop(self, reason: Failure) -> None:
        """Take the reason why the evaluation stopped in another process; the first one is kept."""
        self._stopped = self._stopped or reason

    async def request(self, source: RequestSource[Planned]) -> AsyncIterator[Sample]:
        """
        Open the target, request, score and record; yields samples in the order in which they are ready.

        It stops, with the reason in `stopped`, at a fatal failure and where the record cannot be written.
        """
        try:
            await self.target.open()
        except TargetError as error:
            self._stopped = Failure("target", "; ".join(part for part in error.args if part), fatal=True)
            return
        engine: Engine[Planned, Sample] = Engine(
            self.target,
            self.limits,
            price=self.spending.price,
            then=lambda response: self._settle(response, engine),
            # The answers of a batch are paid for already.
            budget=None if self._batches.are_used else self.spending.budget,
            answered=self._batches.are_used,
        )
        try:
            async for sample in engine.stream(source):
                yield sample
        except RunError as error:
            self._stop_unrecorded(error)
        finally:
            self._stopped = self._stopped or engine.stopped
            await self._asked.close()
            await self.target.close()

    def conclude(self, baselines: Mapping[str, Baseline] | None = None) -> list[SetResult]:
        """
        Judge all samples and write the outcome into the record.

        Raises:
            RunError: The record is damaged.
        """
        self._complete_from_record()
        results = self.judge(baselines)
        self.close(results)
        return results

    def judge(self, baselines: Mapping[str, Baseline] | None = None) -> list[SetResult]:
        """
        Verdicts over the plan: a missing sample is `unrun`.

        Args:
            baselines: By the name of the eval set; None for a model that is compared with nothing.
        """
        if baselines is not None:
            self._missing_baselines = missing_baselines(self.eval_sets, baselines)
        baselines = baselines or {}
        return [self._judge_set(eval_set, baselines.get(eval_set.name)) for eval_set in self.eval_sets]

    def close(self, results: Sequence[SetResult]) -> None:
        """Write the outcome into the record. The run is closed, for good, only if no sample is missing."""
        run = self._run
        if run is None or run.manifest.closed:
            return
        try:
            self._batches.mark_collected(run, self.samples, {eval_set.name for eval_set in self.eval_sets})
            write_outcome(run, results, self.samples, stopped=self._stopped, warnings=self.warnings)
        except RunError as error:
            self._stop_unrecorded(error)
        finally:
            run.release()

    def discard_empty_record(self) -> None:
        """Remove a record without a sample: it has nothing to resume, to compare or to show."""
        run = self._run
        if run is None or run.manifest.closed or run.manifest.batches or self.samples or not run.is_empty:
            return
        # A folder that cannot be changed keeps the empty record; that is no reason to fail.
        with suppress(RunError):
            remove_run(run)
            self._run = None

    def _plan_of(self, eval_set: EvalSet) -> EvalSetPlan:
        sent, asked = self.sent(eval_set), self._asked.infos(eval_set)
        return self._asked.with_opponent(set_plan(eval_set, self.target.model, sent, asked), eval_set)

    def _stop_unrecorded(self, error: RunError) -> None:
        """Stop because the record cannot be written: what is not on record cannot be resumed or be evidence."""
        text = f"{error.where}: {error.problem}; {error.hint}"
        self._stopped = self._stopped or Failure(UNRECORDED, text, fatal=True)

    def _complete_from_record(self) -> None:
        """Take recorded samples that no process reported: of a resumed run, or answered as the session ended."""
        if self._run is not None and not self.collected.is_whole:
            for sample in self._run.samples().values():
                self.collected.collect(sample)

    def _judge_set(self, eval_set: EvalSet, baseline: Baseline | None) -> SetResult:
        if baseline:
            baseline = replace(baseline, itself=self._why_itself(baseline))
        samples, decider = self.collected.of(eval_set.name), self.collected.decider(eval_set.name)
        asked = self._asked.infos(eval_set)
        result = judge_set(eval_set, samples, self.target.spec, baseline, decider=decider, asked=asked)
        if baseline and baseline.request and (sent := self.sent(eval_set).parameters):
            return replace(result, request_differences=tuple(changed_parameters(baseline.request, sent)))
        return result

    def _why_itself(self, baseline: Baseline) -> str:
        target, names = self.target, answered_names(self.samples.values())
        return why_same(TargetAnswers(target.model, target.base_url, target.identity, names), baseline)

    async def _settle(self, response: Response[Planned], engine: Engine[Planned, Sample]) -> Sample:
        sample = await score_response(response, self.limits.deadline, self._ask)
        if (reason := self._asked.stopped) is not None:
            engine.stop(reason)
        if self.collected.is_planned(sample):
            self.collected.add(sample)
            if self._run is not None:
                self._run.append(sample_to_dict(sample))
        return sample

    async def _ask(self, planned: Planned, completion: Completion) -> tuple[Reply, ...]:
        return await self._asked.ask(planned, completion, self.spending.budget)
