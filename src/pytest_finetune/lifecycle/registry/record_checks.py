"""Whether a run record can be evidence: complete, sealed, with verdicts that its own samples bear out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError, ScorerError
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.baseline import recorded_baselines
from pytest_finetune.evaluation.results import with_checked_judges
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.lifecycle.registry.evidence import changes_since
from pytest_finetune.verdicts.gates import Baseline, Status, judge
from pytest_finetune.verdicts.metrics.calibration import JUDGED_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs import VerdictRecord
    from pytest_finetune.lifecycle.registry.entry import Evidence
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict
    from pytest_finetune.verdicts.metrics import SampleTable
    from pytest_finetune.verdicts.metrics.calibration import Calibration


def run_faults(run: Run, eval_sets: Sequence[EvalSet]) -> Iterator[str]:
    """
    Reasons why a run is no evidence, whatever its verdicts.

    What sequential gates did not need is no reason here: `sample_faults` decides again, from the answers, whether they
    did.
    """
    manifest, totals = run.manifest, run.manifest.totals
    if not manifest.closed:
        stopped = f": {manifest.stopped}" if manifest.stopped else ""
        yield f"the run is open{stopped}; finish it with --resume"
    sequential = {eval_set.name for eval_set in eval_sets if eval_set.is_sequential}
    by_looks = sum(count for name, count in manifest.unneeded_by_set.items() if name in sequential)
    if totals.unneeded != by_looks:
        yield f"{totals.unneeded:,} samples were not requested (--stop-when-decided): run without it"
    if manifest.closed and totals.unrun:
        yield f"{totals.unrun:,} of {totals.planned:,} samples were not run"
    if manifest.closed and (fault := run.seal_fault):
        yield f"the run {fault}; run it again"
    if manifest.target.spec.startswith("replay:"):
        yield "replayed answers are no evidence: they may have been requested with other settings"
    if manifest.target.spec.startswith("imported:"):
        yield "imported answers are no evidence: they were recorded elsewhere, and the requests are unknown"


def sample_faults(run: Run, eval_sets: Sequence[EvalSet]) -> Iterator[str]:
    """Statements of the manifest that the recorded samples contradict."""
    samples = list(run.samples().values())
    listed = set(run.manifest.answered_by)
    for name in sorted({one.completion.model for one in samples if one.completion} - listed):
        yield f"samples were answered by {name or 'an unnamed model'}, which the manifest does not list"
    yield from _rejudged_faults(run, samples, eval_sets)


def _rejudged_faults(run: Run, samples: Sequence[Sample], eval_sets: Sequence[EvalSet]) -> Iterator[str]:
    """
    Passes that the samples contradict.

    Comparisons also depend on the baseline, so they are not judged again, except to prove that a set could stop.
    """
    plans = {plan.name: plan for plan in run.manifest.eval_sets}
    passed = {(v.eval_set, v.gate): v for v in run.manifest.verdicts if v.status == Status.PASS}
    for eval_set in eval_sets:
        if eval_set.name not in plans or changes_since(plans[eval_set.name], eval_set):
            continue
        own = [sample for sample in samples if sample.eval_set == eval_set.name]
        table = with_checked_judges(eval_set.table(own), {}, own)
        for verdict in _rejudged(eval_set, table, run):
            recorded = passed.get((verdict.eval_set, verdict.gate))
            if recorded and verdict.status is not Status.PASS:
                seen = f"gate {verdict.gate} is pass in the manifest, {verdict.status} by the samples"
                yield f"{eval_set.name}: {seen}{_reason(table.part(verdict.rule.scorer).judge, verdict, recorded)}"


def _rejudged(eval_set: EvalSet, table: SampleTable, run: Run) -> list[Verdict]:
    if eval_set.is_sequential and table.summary.counts[State.UNRUN]:
        return judge(eval_set.settings.judged_by, table, _recorded_baseline(run, eval_set), stopped=True)
    # A win rate is counted in the recorded scores: they are comparisons already, and the baseline's answers are not
    # needed, only that there was one; `comparison_faults` judges which.
    before = run.manifest.baselines[:1]
    baseline = Baseline(before[0].name, table.cases_sha256, table.repeats, ()) if before else None
    return judge([rule for rule in eval_set.settings.judged_by if not rule.compares], table, baseline)


def _recorded_baseline(run: Run, eval_set: EvalSet) -> Baseline | None:
    """The baseline of a set's gates, from its own record beside that of the run; None if it is gone or doubtful."""
    for known in run.manifest.baselines:
        if known.run and eval_set.settings.rules:
            with suppress(RunError, ScorerError):
                record = Run.load(run.path.parent / known.run)
                found = recorded_baselines(known.name, record, [eval_set]).get(eval_set.name)
                return found if found and not found.doubt else None
    return None


def _reason(judge: Calibration | None, verdict: Verdict, recorded: VerdictRecord) -> str:
    """Why a judge's gate passed then and does not pass now."""
    if judge is None:
        return ""
    if judge.fault:
        return f", because {judge.fault}"
    if verdict.value == recorded.value:
        return ""
    return f", because the judge was calibrated again since the run: {judge}"


def stored_judge_faults(evidence: Evidence, eval_sets: Sequence[EvalSet]) -> Iterator[str]:
    """Gates of judges that are not calibrated now as they were when the evidence was stored."""
    stored = {each.name: each for each in evidence.eval_sets}
    for eval_set in eval_sets:
        for rule in eval_set.settings.judged_by if eval_set.name in stored else ():
            judge = eval_set.judges.get(rule.scorer) if rule.metric in JUDGED_METRICS else None
            if judge is None:
                continue
            gate = f"{eval_set.name}: gate {rule.label}"
            if judge.fault:
                yield f"{gate} depends on a judge that is not calibrated now: {judge.fault}"
            elif judge.counts != (then := stored[eval_set.name].calibrations.get(rule.scorer, "")):
                known = f"the judge agreed with people on {then}, and now on {judge.counts}"
                missing = "the evidence does not say how the judge was calibrated"
                yield f"{gate}: {known if then else missing}: name the run with --run"
