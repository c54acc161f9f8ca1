"""Whether a run record can be evidence: complete, sealed, with verdicts that its own samples bear out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.lifecycle.registry.evidence import changes_since
from pytest_finetune.verdicts.gates import Status, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.gates import Verdict


def run_faults(run: Run) -> Iterator[str]:
    """Reasons why a run is no evidence, whatever its verdicts."""
    manifest, totals = run.manifest, run.manifest.totals
    if not manifest.closed:
        stopped = f": {manifest.stopped}" if manifest.stopped else ""
        yield f"the run is open{stopped}; finish it with --resume"
    if totals.unneeded:
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
    """Passes that the samples contradict. Comparisons also depend on the baseline, so they are not judged again."""
    plans = {plan.name: plan for plan in run.manifest.eval_sets}
    passed = {(v.eval_set, v.gate) for v in run.manifest.verdicts if v.status == Status.PASS}
    for eval_set in eval_sets:
        if eval_set.name not in plans or changes_since(plans[eval_set.name], eval_set):
            continue
        for verdict in _rejudged(eval_set, samples):
            if (verdict.eval_set, verdict.gate) in passed and verdict.status is not Status.PASS:
                seen = f"gate {verdict.gate} is pass in the manifest, {verdict.status} by the samples"
                # The calibration of a judge may have changed since.
                named = verdict.rule.scorer
                calibration = eval_set.others[named].judge if named in eval_set.others else eval_set.judge
                fault = calibration.fault if calibration else ""
                yield f"{eval_set.name}: {seen}{fault and f', because {fault}'}"


def _rejudged(eval_set: EvalSet, samples: Iterable[Sample]) -> list[Verdict]:
    rules = [rule for rule in eval_set.settings.judged_by if not rule.compares and rule.metric != "win_rate"]
    return judge(rules, eval_set.table(samples))
