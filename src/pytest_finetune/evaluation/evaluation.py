"""One evaluation from plan to verdicts: ask, score, record, judge. What every shell calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.daemon_thread import in_daemon_thread
from pytest_finetune.base.errors import ScorerError, TargetError
from pytest_finetune.base.records import Completion, Failure, Sample, State, Usage
from pytest_finetune.evaluation.engine import Engine, Limits, Question
from pytest_finetune.evaluation.pricing import price
from pytest_finetune.evaluation.results import SetResult
from pytest_finetune.evaluation.runs import (
    BaselineRecord,
    EvalSetPlan,
    TargetInfo,
    Totals,
    VerdictRecord,
    prompt_sha256,
    sample_to_dict,
)
from pytest_finetune.verdicts.comparison import compare
from pytest_finetune.verdicts.gates import Decider, Verdict, judge, table_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from pytest_finetune.base.records import Case, Request
    from pytest_finetune.evaluation.engine import Answer, Questions
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Baseline
    from pytest_finetune.verdicts.metrics import SampleTable

Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Planned:
    """One sample to be asked for: a case, and which repeat of it."""

    eval_set: EvalSet
    case: Case
    attempt: int

    @property
    def key(self) -> Key:
        """What names the sample in its run."""
        return self.eval_set.name, self.case.id, self.attempt

    def question(self, model: str) -> Question[Planned]:
        """The planned sample as a question to a model."""
        return Question(self, self.eval_set.request(self.case, model, self.attempt))


class Evaluation:
    """
    One target over some eval sets.

    Args:
        target: The model under test.
        eval_sets: The plan: all their cases, each `repeats` times.
        limits: What asking may use.
        run: Where samples are recorded; None records nothing.
        stop_when_decided: Leave samples unasked once no answer can change any verdict of their set.
    """

    def __init__(
        self,
        target: Target,
        eval_sets: Iterable[EvalSet],
        limits: Limits,
        *,
        run: Run | None = None,
        stop_when_decided: bool = False,
    ) -> None:
        self.target, self.limits, self.run = target, limits, run
        self.eval_sets = tuple(eval_sets)
        self._deciders = {e.name: Decider(e.settings, e.table(())) for e in self.eval_sets} if stop_when_decided else {}
        self._planned_names = {eval_set.name for eval_set in self.eval_sets}
        self.stopped: Failure | None = None

    def plan(self) -> Iterator[Planned]:
        """Every sample of the plan, case by case."""
        for eval_set in self.eval_sets:
            for case in eval_set.cases:
                for attempt in range(eval_set.repeats):
                    yield Planned(eval_set, case, attempt)

    async def samples(self, questions: Questions[Planned]) -> AsyncIterator[Sample]:
        """Open the target, ask, score and record; samples in the order they are ready."""
        try:
            await self.target.open()
        except TargetError as error:
            self.stopped = Failure("target", "; ".join(part for part in error.args if part), fatal=True)
            return
        engine: Engine[Planned, Sample] = Engine(self.target, self.limits, price=self._price, then=self._settle)
        try:
            async for sample in engine.stream(questions):
                yield sample
        finally:
            self.stopped = engine.stopped
            await self.target.close()

    def count(self, sample: Sample) -> None:
        """Let a sample that a resumed run has already count towards what is decided."""
        if sample.eval_set in self._deciders:
            self._deciders[sample.eval_set].add(sample)

    def is_decided(self, eval_set: str) -> bool:
        """No answer still to come can change a verdict of this set."""
        return eval_set in self._deciders and self._deciders[eval_set].verdicts() is not None

    def judge(self, samples: Mapping[Key, Sample], baselines: Mapping[str, Baseline] | None = None) -> list[SetResult]:
        """Verdicts over the plan: a sample that is not there is unrun. Baselines go by the name of the set."""
        baselines = baselines or {}
        return [self._judge_set(eval_set, samples, baselines.get(eval_set.name)) for eval_set in self.eval_sets]

    def close(self, results: Iterable[SetResult], samples: Mapping[Key, Sample]) -> None:
        """Write the outcome into the record; it closes for good only when nothing is missing."""
        if self.run is None or self.run.manifest.closed:
            return
        results = list(results)
        closed = all(result.complete for result in results)
        if closed:
            self.run.settle(samples)
        self.run.update(
            closed=closed,
            closed_at=datetime.now(UTC) if closed else None,
            stopped=self.stopped.message if self.stopped else "",
            answered_by=tuple(sorted({s.completion.model for s in samples.values() if s.completion})),
            baselines=tuple(dict.fromkeys(one for result in results if (one := result.baseline_record))),
            verdicts=tuple(verdict_record(verdict) for result in results for verdict in result.verdicts),
            totals=self._totals(results, samples),
        )
        self.run.release()

    def _judge_set(self, eval_set: EvalSet, samples: Mapping[Key, Sample], baseline: Baseline | None) -> SetResult:
        mine = [sample for sample in samples.values() if sample.eval_set == eval_set.name]
        asked = [sample for sample in mine if sample.state is not State.UNNEEDED]
        table = eval_set.table(asked)
        result = SetResult(eval_set, self.target.spec, table.summary, (), unneeded=len(mine) - len(asked))
        verdicts = self._deciders[eval_set.name].verdicts() if result.unneeded and not result.unrun else None
        if verdicts is None:
            verdicts = judge(eval_set.settings, table, baseline)
        result = replace(result, verdicts=tuple(verdicts))
        return _compared(result, table, baseline) if baseline else result

    async def _settle(self, answer: Answer[Planned]) -> Sample:
        sample = await self._score(answer)
        if self.run is not None and answer.key.eval_set.name in self._planned_names:
            self.run.append(sample_to_dict(sample))
        self.count(sample)
        return sample

    async def _score(self, answer: Answer[Planned]) -> Sample:
        planned, outcome = answer.key, answer.outcome
        asked = prompt_sha256(planned.question(self.target.model).request)
        sample = Sample(*planned.key, State.ERROR, cost=answer.cost, prompt_sha256=asked)
        if isinstance(outcome, Failure):
            return replace(sample, failure=outcome)
        scorer = planned.eval_set.scorer
        try:
            if scorer.blocking:
                async with asyncio.timeout(self.limits.deadline):
                    score = await in_daemon_thread(lambda: scorer.score(planned.case, outcome))
            else:
                score = scorer.score(planned.case, outcome)
        except TimeoutError:
            late = Failure("scorer", f"{scorer.name} took longer than {self.limits.deadline:g} s")
            return replace(sample, completion=outcome, failure=late)
        except ScorerError as error:
            return replace(sample, completion=outcome, failure=Failure("scorer", str(error)))
        except Exception as error:  # noqa: BLE001 - an answer that breaks a scorer is one errored sample, not the end
            broke = f"{scorer.name} broke on this answer: {type(error).__name__}: {error}"
            return replace(sample, completion=outcome, failure=Failure("scorer", broke))
        return replace(sample, state=State.PASSED if score.passed else State.MISSED, completion=outcome, score=score)

    @property
    def has_price(self) -> bool:
        """What a call costs can be told."""
        anything = Completion("", usage=Usage(prompt=1, completion=1))
        asked = (eval_set.request(eval_set.cases[0], self.target.model) for eval_set in self.eval_sets)
        return all(self._price(request, anything) is not None for request in asked)

    def _price(self, request: Request, completion: Completion) -> Decimal | None:
        if self.target.free:
            return Decimal(0)
        if completion.usage is None:
            return None
        tier = request.params.get("service_tier")
        return price(self.target.model, completion.usage, base_url=self.target.base_url, service_tier=tier)

    def _totals(self, results: list[SetResult], samples: Mapping[Key, Sample]) -> Totals:
        counts: Counter[State] = Counter()
        for result in results:
            counts.update(result.summary.counts)
        costs = [sample.cost for sample in samples.values()]
        known = [cost for cost in costs if cost is not None]
        return Totals(
            planned=counts.total(),
            **{state.value: counts[state] for state in (State.PASSED, State.MISSED, State.ERROR)},
            unrun=sum(result.unrun for result in results),
            unneeded=sum(result.unneeded for result in results),
            from_cache=sum(1 for s in samples.values() if s.completion and s.completion.from_cache),
            cost=sum(known, Decimal(0)) if len(known) == len(costs) else None,
        )


def target_info(target: Target) -> TargetInfo:
    """What a run's manifest says of its target."""
    return TargetInfo(spec=target.spec, model=target.model, base_url=target.base_url, identity=target.identity)


def set_plan(eval_set: EvalSet) -> EvalSetPlan:
    """What a run's manifest says of an eval set."""
    return EvalSetPlan(
        name=eval_set.name,
        cases=len(eval_set.cases),
        repeats=eval_set.repeats,
        max_errors=eval_set.settings.max_errors,
        cases_sha256=eval_set.cases_sha256,
        settings_sha256=eval_set.settings_sha256,
        schema_sha256=eval_set.schema_sha256,
    )


def _compared(result: SetResult, table: SampleTable, baseline: Baseline) -> SetResult:
    """Side by side with the baseline, where both were asked the same and are whole."""
    result = replace(result, baseline=baseline.name, baseline_record=_baseline_record(baseline))
    before_table = table_of(baseline, table)
    if before_table is None:
        return replace(result, not_compared="the baseline was asked other cases, or another number of times")
    before = before_table.summary
    missing = before.counts[State.UNRUN] + before.counts[State.ERROR]
    if missing:
        return replace(result, not_compared=f"{missing:,} answers of the baseline are missing")
    if result.unneeded:
        return replace(result, not_compared="this run stopped when its verdicts were decided")
    return replace(result, comparison=compare(before, result.summary))


def _baseline_record(baseline: Baseline) -> BaselineRecord:
    return BaselineRecord(
        name=baseline.name,
        model=baseline.model,
        base_url=baseline.base_url,
        identity=baseline.identity,
        run=baseline.run,
        doubt=baseline.doubt,
    )


def verdict_record(verdict: Verdict) -> VerdictRecord:
    """What a run's manifest says of a verdict."""
    interval = verdict.interval
    return VerdictRecord(
        eval_set=verdict.eval_set,
        gate=verdict.gate,
        status=verdict.status.value,
        value=verdict.value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        planned=verdict.n,
        message=verdict.message,
        rule=verdict.rule,
        baseline=verdict.baseline,
    )
