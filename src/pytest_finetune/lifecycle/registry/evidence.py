"""Condenses a closed run into the evidence that a registry stores, and reads that as the baseline of a later run."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Sample, Score, State
from pytest_finetune.lifecycle.registry.entry import Evidence, EvidenceSet
from pytest_finetune.verdicts.checks import has_meaning
from pytest_finetune.verdicts.evalset.gate_metrics import METRICS
from pytest_finetune.verdicts.evalset.request_form import APIS
from pytest_finetune.verdicts.evalset.settings_hash import settings_sha256
from pytest_finetune.verdicts.gates import Baseline
from pytest_finetune.verdicts.metrics import summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_finetune.evaluation.runs import EvalSetPlan, Run, VerdictRecord
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api
    from pytest_finetune.verdicts.evalset.settings import EvalSettings
    from pytest_finetune.verdicts.metrics import Summary

_OF_REPEATS = ("agreement", "pairwise_agreement", "format_stability")


def evidence_of(run: Run, eval_sets: Sequence[EvalSet]) -> Evidence:
    """
    Condense a closed run.

    Outcomes and metrics are stored only for eval sets whose cases are unchanged, as they depend on the current cases.

    Raises:
        RunError: The run is open, or a line of its record is damaged.
    """
    manifest, target = run.manifest, run.manifest.target
    if manifest.closed_at is None:
        raise RunError("an open run is no evidence", str(run.path), "finish it: pytest --resume with the same options")
    today = {eval_set.name: eval_set for eval_set in eval_sets}
    samples = list(run.samples().values())
    return Evidence(
        run_id=manifest.id,
        spec=target.spec,
        model_id=target.model,
        base_url=target.base_url,
        identity=target.identity,
        answered_by=manifest.answered_by,
        closed_at=manifest.closed_at,
        pytest_finetune=manifest.versions.pytest_finetune,
        git_commit=manifest.versions.git_commit,
        git_dirty=manifest.versions.git_dirty,
        seal=manifest.seal,
        baselines=manifest.baselines,
        compared_with=manifest.compared_with,
        eval_sets=tuple(
            _condensed(
                plan,
                today.get(plan.name),
                [sample for sample in samples if sample.eval_set == plan.name],
                tuple(verdict for verdict in manifest.verdicts if verdict.eval_set == plan.name),
                manifest.unneeded_by_set.get(plan.name, 0),
            )
            for plan in manifest.eval_sets
        ),
    )


def baseline_from(evidence: Evidence, eval_set: EvalSet) -> Baseline | None:
    """
    Stored evidence as the baseline of a new run of an eval set.

    None if it cannot replace the run: other hashes or repeats, a sample in error, or a gate that compares more than
    passes and misses, which is all that evidence stores.
    """
    stored = next((one for one in evidence.eval_sets if one.name == eval_set.name), None)
    compared = {rule.scorer or rule.metric for rule in eval_set.settings.rules if rule.compares}
    if stored is None or changes_since(stored, eval_set) or compared - {"accuracy"}:
        return None
    planned = [(case.id, attempt) for case in eval_set.cases for attempt in range(eval_set.repeats)]
    bits = _bits(stored.outcomes, len(planned))
    if bits is None or len(planned) != stored.counts.get("passed", 0) + stored.counts.get("missed", 0):
        return None
    samples = [
        Sample(eval_set.name, *place, State.PASSED if passed else State.MISSED, score=Score(passed))
        for place, passed in zip(planned, bits, strict=True)
    ]
    return Baseline(
        "production",
        stored.cases_sha256,
        stored.repeats,
        samples,
        model=evidence.model_id,
        base_url=evidence.base_url,
        identity=evidence.identity,
        run=evidence.run_id,
        answered_by=evidence.answered_by,
    )


def changes_since(plan: EvalSetPlan | EvidenceSet, eval_set: EvalSet) -> str:
    """What has changed in an eval set since its evaluation, in one clause; empty if the verdicts still apply."""
    hashes = (
        ("cases", plan.cases_sha256, eval_set.cases_sha256),
        ("settings", plan.settings_sha256, eval_set.settings_sha256),
        ("schema", plan.schema_sha256, eval_set.schema_sha256),
    )
    changed = [what for what, then, today in hashes if then != today]
    texts = []
    if "settings" in changed and (api := _demanded_api(plan, eval_set)):
        changed.remove("settings")
        texts = [f"the session sent its requests to the {api} API (--finetune-api), unlike the project"]
    if changed:
        texts.append(f"{' and '.join(changed)} changed")
    if plan.repeats != eval_set.repeats:
        texts.append(f"repeats were {plan.repeats} and are {eval_set.repeats}")
    return ", ".join(texts)


def _demanded_api(plan: EvalSetPlan | EvidenceSet, eval_set: EvalSet) -> Api | None:
    """The API that a session demanded, if only that makes its settings differ from today's."""
    settings, fingerprint = eval_set.settings, eval_set.fingerprint
    return next((api for api in APIS if settings_sha256(settings, fingerprint, api) == plan.settings_sha256), None)


def _condensed(
    plan: EvalSetPlan,
    eval_set: EvalSet | None,
    samples: list[Sample],
    verdicts: tuple[VerdictRecord, ...],
    unneeded: int,
) -> EvidenceSet:
    ended = Counter(sample.state.value for sample in samples)
    ended[State.UNNEEDED.value] += unneeded
    unrun = plan.cases * plan.repeats - ended.total()
    counts = {state.value: ended[state.value] for state in State if ended[state.value]}
    stored = EvidenceSet(
        name=plan.name,
        cases=plan.cases,
        repeats=plan.repeats,
        cases_sha256=plan.cases_sha256,
        settings_sha256=plan.settings_sha256,
        schema_sha256=plan.schema_sha256,
        verdicts=verdicts,
        counts=counts | ({"unrun": unrun + counts.get("unrun", 0)} if unrun > 0 else {}),
    )
    if eval_set is None or plan.cases_sha256 != eval_set.cases_sha256:
        return stored
    judges = {name: judge.counts for name, judge in eval_set.judges.items() if not judge.fault}
    summary = _summary(eval_set, samples, plan.repeats)
    return stored.model_copy(
        update={
            "outcomes": _outcomes(summary),
            "metrics": _metrics(summary, eval_set.settings, plan.repeats),
            "calibrations": judges,
        }
    )


def _summary(eval_set: EvalSet, samples: Iterable[Sample], repeats: int) -> Summary:
    expected_label = eval_set.scorer.expected_label
    return summarize(samples, eval_set.cases, eval_set=eval_set.name, repeats=repeats, expected_label=expected_label)


def _metrics(summary: Summary, settings: EvalSettings, repeats: int) -> dict[str, float]:
    """The metrics that are defined for this scorer; those of repeats only if there are repeats."""
    # At its coverage of 1 it is the accuracy; gates with another one have their value in the verdicts.
    shown = (m for m in METRICS if m != "accuracy_at_coverage" and has_meaning(m, settings.scorer))
    values = {metric: summary.value(metric).value for metric in shown if repeats > 1 or metric not in _OF_REPEATS}
    # Six digits are more than any sample supports, and keep the file readable in a review.
    return {metric: float(f"{value:.6g}") for metric, value in values.items() if value is not None}


def _outcomes(summary: Summary) -> str:
    """One bit per planned sample, as hex; the last digit is padded with zeros."""
    ended = (sample for row in summary.rows for sample in row.samples)
    bits = "".join("1" if sample and sample.state is State.PASSED else "0" for sample in ended)
    return "".join(f"{int(bits[at : at + 4].ljust(4, '0'), 2):x}" for at in range(0, len(bits), 4))


def _bits(outcomes: str, planned: int) -> list[bool] | None:
    if len(outcomes) != -(-planned // 4) or not re.fullmatch("[0-9a-f]*", outcomes):
        return None
    bits = "".join(f"{int(digit, 16):04b}" for digit in outcomes)
    return [bit == "1" for bit in bits[:planned]]
