"""A reported run from a session that has just ended, or from a record on disk; the page is the same."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import ScorerError
from pytest_finetune.base.records import Case, State
from pytest_finetune.evaluation.evaluation import verdict_record
from pytest_finetune.evaluation.runs.copies import asked_set
from pytest_finetune.evaluation.runs.pairing import pair_runs
from pytest_finetune.reports.reported import Gate, ReportedRun, ReportedSet
from pytest_finetune.reports.runs import moment
from pytest_finetune.verdicts.checks import has_meaning
from pytest_finetune.verdicts.metrics import summarize
from pytest_finetune.verdicts.scoring import make_scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.evaluation import Evaluation
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import EvalSetPlan, Manifest, Run, VerdictRecord
    from pytest_finetune.evaluation.runs.copies import AskedSet
    from pytest_finetune.evaluation.runs.pairing import SetPair
    from pytest_finetune.verdicts.comparison import Comparison
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.gates import Verdict

UNASKED = "::"
"""What the made-up ids of cases begin with that a record without copies knows to be planned and nothing else."""


def from_session(evaluation: Evaluation, results: Iterable[SetResult], *, judged: bool = True) -> ReportedRun:
    """The results of one model of a session, with the record that the session wrote of them."""
    sets = tuple(_set_of_result(result, judged=judged) for result in results)
    run = evaluation.run
    if run is None:
        return ReportedRun(evaluation.target.spec, sets, {}, closed=False, judged=judged)
    return _reported(run, sets, judged=judged)


def from_record(run: Run, *, root: Path, against: Run | None = None) -> ReportedRun:
    """
    A recorded run, with its verdicts as they stood when it ended.

    Args:
        run: The record.
        root: Where today's eval sets lie, for a record without copies of its own.
        against: The run to compare with, case by case; what either lacks counts as not passed.

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
    """What a second run has to say to each set of the first."""

    def __init__(self, run: Run, against: Run | None) -> None:
        self.name = against.id if against else ""
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
        why = self._why_not.get(eval_set, "it was not asked this eval set")
        return self.name, None, (f"not compared with {self.name}: {why}",)


def _pair_notes(pair: SetPair) -> Iterator[str]:
    for counts, what in ((pair.missing, "missing"), (pair.errors, "in error")):
        if any(counts):
            yield f"samples {what}, counted as not passed: {counts[0]:,} of the baseline, {counts[1]:,} of this run"
    if not pair.same_settings:
        yield "the settings differ from the baseline's: answers may have been asked for or scored otherwise"


def _set_of_result(result: SetResult, *, judged: bool) -> ReportedSet:
    settings = result.eval_set.settings
    refused = f"not compared with {result.baseline}: {result.not_compared}" if result.not_compared else ""
    return ReportedSet(
        result.eval_set.name,
        result.summary,
        _gates([_as_recorded(verdict) for verdict in result.verdicts] if judged else [], settings),
        result.eval_set.repeats,
        settings,
        baseline=result.baseline if judged else "",
        comparison=result.comparison if judged else None,
        notes=(refused,) if refused and judged else (),
    )


def _as_recorded(verdict: Verdict) -> VerdictRecord:
    """As the manifest gives it back: JSON has no word for an interval without an end, and tells the end as none."""
    record = verdict_record(verdict)
    return record.model_copy(update={"high": None}) if record.high == inf else record


def _set_of_plan(run: Run, plan: EvalSetPlan, samples: list[Sample], compared: _Compared, root: Path) -> ReportedSet:
    asked = asked_set(run, plan, root=root)
    baseline, comparison, notes = compared.of(plan.name)
    summary = summarize(
        samples,
        asked.cases if asked.cases is not None else _known_cases(plan, samples),
        repeats=plan.repeats,
        expected_label=_expected_label(asked),
    )
    verdicts = [verdict for verdict in run.manifest.verdicts if verdict.eval_set == plan.name]
    return ReportedSet(
        plan.name,
        summary,
        _gates(verdicts, asked.settings),
        plan.repeats,
        asked.settings,
        missing_prompts=asked.problem,
        baseline=baseline,
        comparison=comparison,
        notes=notes,
    )


def _known_cases(plan: EvalSetPlan, samples: Sequence[Sample]) -> list[Case]:
    """The planned cases as far as the record names them; one that nobody was asked is still one of them."""
    ids = list(dict.fromkeys(sample.case_id for sample in samples))
    unasked = (f"{UNASKED}{number}" for number in range(plan.cases - len(ids)))
    return [Case(case_id, 0, ()) for case_id in (*ids, *unasked)]


def _expected_label(asked: AskedSet) -> Callable[[Case], str] | None:
    if asked.cases is None or asked.settings is None or not has_meaning("macro_f1", asked.settings.scorer):
        return None
    try:
        # Labels are in the settings, so the folder does not matter.
        return make_scorer(asked.settings, Path()).expected_label
    except ScorerError:
        return None


def _gates(verdicts: Iterable[VerdictRecord], settings: EvalSettings | None) -> tuple[Gate, ...]:
    # Records of earlier versions hold no rules: the settings of the run do, under the same labels.
    rules = {rule.label: rule for rule in settings.judged_by} if settings else {}
    return tuple(Gate(verdict, verdict.rule or rules.get(verdict.gate)) for verdict in verdicts)


def _reported(run: Run, sets: tuple[ReportedSet, ...], *, judged: bool = True) -> ReportedRun:
    manifest = run.manifest
    return ReportedRun(
        manifest.target.spec,
        sets,
        _facts(manifest),
        closed=manifest.closed,
        cost=_cost(sets),
        judged=judged,
        notes=tuple(_run_notes(run, sets)),
        stopped=manifest.stopped,
        early=bool(manifest.totals.unneeded),
    )


def _cost(sets: Sequence[ReportedSet]) -> Decimal | None:
    """What the answers cost; None where the price of any is unknown."""
    costs = [part.summary.cost for part in sets if part.summary.completions]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(costs) else None


def _facts(manifest: Manifest) -> dict[str, str]:
    target, versions = manifest.target, manifest.versions
    asked_as = target.model if target.model != target.spec else ""
    changed = " with changes" if versions.git_dirty else ""
    facts = {
        "run": manifest.id,
        "begun": moment(manifest.created_at),
        "server": target.base_url,
        "asked as": asked_as,
        "answered as": ", ".join(name for name in manifest.answered_by if name != target.spec),
        "weights": target.identity,
        "git": f"{versions.git_commit[:12]}{changed}" if versions.git_commit else "",
        "made with": f"pytest-finetune {versions.pytest_finetune}, Python {versions.python}",
    }
    return {name: value for name, value in facts.items() if value}


def _run_notes(run: Run, sets: Sequence[ReportedSet]) -> Iterator[str]:
    unneeded = run.manifest.totals.unneeded
    planned = sum(part.summary.planned for part in sets)
    if not run.manifest.closed:
        missing = sum(part.summary.counts[state] for part in sets for state in (State.UNRUN, State.ERROR))
        yield f"This run is open: {missing:,} of {planned:,} samples are missing; go on with --resume."
    elif run.seal_fault:
        yield f"The record {run.seal_fault}."
    if not run.manifest.verdicts:
        yield "There are no verdicts: the run ended before it was judged."
    if unneeded:
        yield f"{unneeded:,} samples were not needed: no answer to them could have changed a verdict."
