"""Creates a reported run from a session that has just ended or from a record; reports are the same for both."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.model_ids import answers_for
from pytest_finetune.base.records import Case, State
from pytest_finetune.evaluation.plan import target_title
from pytest_finetune.evaluation.results import verdict_record
from pytest_finetune.evaluation.runs.copies import recorded_set
from pytest_finetune.evaluation.runs.pairing import pair_runs
from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet
from pytest_finetune.reports.runs import run_facts
from pytest_finetune.verdicts.comparison import field_changes
from pytest_finetune.verdicts.metrics import summarize
from pytest_finetune.verdicts.scoring import make_scorer, scorer_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import EvalSetPlan, Manifest, Run, VerdictRecord
    from pytest_finetune.evaluation.runs.copies import RecordedSet
    from pytest_finetune.evaluation.runs.pairing import SetPair
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.metrics import Summary

NOT_REQUESTED = "::"
"""Prefix of placeholder ids: a record without copies has no ids of cases that were never requested."""


def from_session(evaluation: Evaluation, results: Iterable[SetResult], *, judged: bool = True) -> ReportedRun:
    """One model of a session; its record is open or closed, and its samples need not be read again."""
    sets = tuple(_set_of_result(result, judged=judged) for result in results)
    if evaluation.run is None:
        target, stopped = evaluation.target, evaluation.stopped
        name = target_title(target)
        return ReportedRun(name, sets, spec=target.spec, judged=judged, warnings=evaluation.warnings, stopped=stopped)
    reported = _reported(evaluation.run, sets, judged=judged)
    # A record that could not be written has neither.
    warnings = tuple(dict.fromkeys((*evaluation.warnings, *reported.warnings)))
    return replace(reported, warnings=warnings, stopped=evaluation.stopped or reported.stopped)


def from_record(run: Run, *, root: Path, against: Run | None = None) -> ReportedRun:
    """
    A recorded run, with its verdicts as they were when it ended.

    Args:
        run: The record.
        root: Folder of the current eval sets, for a record without copies of its own.
        against: The run to compare with, case by case; cases missing from either count as not passed.

    Raises:
        RunError: A record is damaged, or the two have no eval set in common.
    """
    compared = _Compared(run, against)
    samples: dict[str, list[Sample]] = {plan.name: [] for plan in run.manifest.eval_sets}
    for sample in run.samples().values():
        samples.setdefault(sample.eval_set, []).append(sample)
    sets = tuple(_set_of_plan(run, plan, samples[plan.name], compared, root) for plan in run.manifest.eval_sets)
    return _reported(run, sets)


class _Compared:
    """The comparison of each eval set with the one of a second run."""

    def __init__(self, run: Run, against: Run | None) -> None:
        self.name = against.id if against else ""
        self._samples = list(against.samples().values()) if against else []
        self._pairs: dict[str, SetPair] = {}
        self._why_not: dict[str, str] = {}
        if against is not None:
            pairing = pair_runs(against, run, allow_open=True)
            self._pairs = {pair.eval_set: pair for pair in pairing.pairs}
            self._why_not = {refusal.eval_set: refusal.problem for refusal in pairing.refusals}

    def of(self, eval_set: str) -> tuple[str, Comparison | None, tuple[str, ...]]:
        """Name of the baseline, the comparison, and notes."""
        if not self.name:
            return "", None, ()
        if pair := self._pairs.get(eval_set):
            return self.name, pair.comparison, tuple(_pair_notes(pair))
        why = self._why_not.get(eval_set, "it does not have this eval set")
        return self.name, None, (f"not compared with {self.name}: {why}",)

    def with_fields(self, comparison: Comparison, after: Summary, repeats: int, eval_set: str) -> Comparison:
        """The comparison with the changes of single fields, and the baseline's labels, which only the cases name."""
        cases, label = [row.case for row in after.rows], after.expected_label
        before = summarize(self._samples, cases, eval_set=eval_set, repeats=repeats, expected_label=label)
        return replace(comparison, fields=field_changes(before, after), labels=before.labels)


def _pair_notes(pair: SetPair) -> Iterator[str]:
    for counts, what in ((pair.missing, "missing"), (pair.errors, "in error")):
        if any(counts):
            yield f"samples {what}, counted as not passed: {counts[0]:,} of the baseline, {counts[1]:,} of this run"
    if not pair.same_settings:
        yield "the settings differ from the baseline's: requests or scoring may differ"
    yield from _request_notes(pair.request_differences)


def _request_notes(request_differences: Sequence[str]) -> Iterator[str]:
    if request_differences:
        yield f"the requests differ from the baseline's: {', '.join(request_differences)}"


def _set_of_result(result: SetResult, *, judged: bool) -> ReportedSet:
    settings = result.eval_set.settings
    refused = [f"not compared with {result.baseline}: {result.not_compared}"] if result.not_compared else []
    return ReportedSet(
        result.eval_set.name,
        result.summary,
        _gates(map(verdict_record, result.verdicts) if judged else (), settings),
        result.eval_set.repeats,
        settings,
        baseline=result.baseline,
        comparison=result.comparison,
        notes=(*refused, *_request_notes(result.request_differences)),
        unneeded=result.unneeded,
    )


def _set_of_plan(run: Run, plan: EvalSetPlan, samples: list[Sample], compared: _Compared, root: Path) -> ReportedSet:
    recorded = recorded_set(run, plan, root=root)
    baseline, comparison, notes = compared.of(plan.name)
    summary = summarize(
        samples,
        recorded.cases if recorded.cases is not None else _known_cases(plan, samples),
        repeats=plan.repeats,
        expected_label=_expected_label(recorded),
    )
    if comparison is not None and recorded.cases is not None:
        comparison = compared.with_fields(comparison, summary, plan.repeats, plan.name)
    verdicts = [verdict for verdict in run.manifest.verdicts if verdict.eval_set == plan.name]
    return ReportedSet(
        plan.name,
        summary,
        _gates(verdicts, recorded.settings),
        plan.repeats,
        recorded.settings,
        missing_prompts=recorded.problem,
        baseline=baseline,
        comparison=comparison,
        notes=notes,
        # A run closes only when every sample has ended or is not needed.
        unneeded=summary.counts[State.UNRUN] if run.manifest.closed else run.manifest.unneeded_by_set.get(plan.name, 0),
    )


def _known_cases(plan: EvalSetPlan, samples: Sequence[Sample]) -> list[Case]:
    """The planned cases: those that the record names, and placeholders for those that were never requested."""
    ids = list(dict.fromkeys(sample.case_id for sample in samples))
    others = (f"{NOT_REQUESTED}{number}" for number in range(plan.cases - len(ids)))
    return [Case(case_id, 0, ()) for case_id in (*ids, *others)]


def _expected_label(recorded: RecordedSet) -> Callable[[Case], str] | None:
    try:
        # Other scorers are not built, because that could import a scoring function.
        settings = recorded.settings
        if settings and recorded.cases is not None and "macro_f1" in scorer_class(settings.scorer).metrics:
            # Labels are in the settings, so the folder does not matter.
            return make_scorer(settings, Path()).expected_label
    except ScorerError:
        pass
    return None


def _gates(verdicts: Iterable[VerdictRecord], settings: EvalSettings | None) -> tuple[Gate, ...]:
    # Records of earlier versions have no rules; the settings have them, under the same labels.
    rules = {rule.label: rule for rule in settings.judged_by} if settings else {}
    return tuple(Gate(verdict, verdict.rule or rules.get(verdict.gate)) for verdict in verdicts)


def _reported(run: Run, sets: tuple[ReportedSet, ...], *, judged: bool = True) -> ReportedRun:
    manifest = run.manifest
    reported = ReportedRun(
        manifest.target.title,
        sets,
        manifest.id,
        manifest.target.spec,
        {"run": manifest.id, **run_facts(manifest)},
        closed=manifest.closed,
        cost=_cost(sets),
        judged=judged,
        stopped=manifest.stop,
        unneeded=sum(part.unneeded for part in sets) or manifest.totals.unneeded,
        limited=manifest.limited,
        warnings=(*manifest.warnings, *_other_models(manifest)),
    )
    return replace(reported, notes=tuple(_run_notes(run, reported)))


def _other_models(manifest: Manifest) -> Iterator[str]:
    model = manifest.target.model
    if names := [name for name in manifest.answered_by if name and not answers_for(name, model)]:
        yield f"requested {model}, but {', '.join(names[:3])} answered"


def _cost(sets: Sequence[ReportedSet]) -> Decimal | None:
    """Cost of the answers; None if the price of any is unknown."""
    costs = [part.summary.cost for part in sets if part.summary.completions]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(costs) else None


def _run_notes(run: Run, reported: ReportedRun) -> Iterator[str]:
    if not reported.closed:
        counts = f"{reported.missing:,} of {reported.planned:,} samples are missing"
        yield f"This run is open: {counts}; resume it with --resume."
    elif run.seal_fault:
        yield f"The record {run.seal_fault}."
    if not run.manifest.verdicts:
        yield "There are no verdicts: the run ended before it was judged."
    if count := reported.unneeded_by_counting:
        yield f"{count:,} samples were not needed: no answer to them could have changed a verdict."
    for part in reported.sets:
        if part.stopped_by_looks:
            yield f"{part.name}: its gates were decided with {part.asked:,} of {part.summary.planned:,} samples asked."
