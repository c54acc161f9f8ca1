"""Compare two run records, eval set by eval set; sets that were not requested alike are refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Case, State
from pytest_finetune.evaluation.runs.copies import groups_of_cases
from pytest_finetune.verdicts.comparison import compare, differing_cases
from pytest_finetune.verdicts.evalset.request_form import changed_parameters
from pytest_finetune.verdicts.metrics import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan
    from pytest_finetune.evaluation.runs.run import Run
    from pytest_finetune.verdicts.comparison import Comparison

_ASK_AGAIN = "run both over the current eval sets; --model=replay:RUN scores recorded answers again without requests"


@dataclass(frozen=True, slots=True)
class SetPair:
    """
    An eval set with the same cases in both runs.

    Args:
        eval_set: Its name.
        comparison: What changed from the first run to the second.
        missing, errors: Planned samples that each run lacks, and that ended in an error; they count as not passed.
        same_settings: Both were scored under the same settings and schemas.
        request_differences: Parameters that were sent with one run's requests and not, or otherwise, with the other's.
    """

    eval_set: str
    comparison: Comparison
    missing: tuple[int, int] = (0, 0)
    errors: tuple[int, int] = (0, 0)
    same_settings: bool = True
    request_differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    An eval set that two runs cannot be compared over.

    Args:
        eval_set: Its name.
        problem: Why, in one clause.
        hint: What to do about it.
        only_before, only_after: Ids of the cases in only one of the records.
        different_requests: Ids of the cases in both, with different prompts.
    """

    eval_set: str
    problem: str
    hint: str
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    different_requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two runs, set by set in the first one's order: compared, refused, or in one run alone."""

    pairs: tuple[SetPair, ...]
    refusals: tuple[Refusal, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        """The second run lost significantly in some eval set."""
        return any(pair.comparison.worse for pair in self.pairs)


def pair_runs(before: Run, after: Run, *, confidence: float = 0.95, allow_open: bool = False) -> Pairing:
    """
    Compare two runs over every eval set that both planned.

    Args:
        before: The baseline.
        after: The new run.
        confidence: As for `compare`.
        allow_open: Accept open runs too; missing samples count as not passed.

    Raises:
        RunError: A run is open, a record is damaged, or the runs have no eval set in common.
    """
    if not allow_open:
        _require_closed(before, after)
    old, new = _plans(before), _plans(after)
    if not old.keys() & new.keys():
        raise RunError(
            f"no eval set in common: {_names(old)} and {_names(new)}",
            f"{before.id} and {after.id}",
            "compare runs over the same eval sets",
        )
    samples = _by_set(before), _by_set(after)
    results = [
        _Both(plan, new[name], samples[0].get(name, []), samples[1].get(name, []), groups_of_cases(before, plan)).pair(
            confidence, allow_open
        )
        for name, plan in old.items()
        if name in new
    ]
    return Pairing(
        tuple(result for result in results if isinstance(result, SetPair)),
        tuple(result for result in results if isinstance(result, Refusal)),
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name not in old),
    )


@dataclass(frozen=True, slots=True)
class _Both:
    """One eval set as the two runs planned and recorded it."""

    old: EvalSetPlan
    new: EvalSetPlan
    before: Sequence[Sample]
    after: Sequence[Sample]
    groups: Mapping[str, str]

    def pair(self, confidence: float, allow_open: bool) -> SetPair | Refusal:  # noqa: FBT001 - handed through
        cases = self._cases()
        if refusal := self._refusal(len(cases)):
            return refusal
        before, after = (
            summarize(samples, cases, eval_set=self.old.name, repeats=self.old.repeats)
            for samples in (self.before, self.after)
        )
        missing = before.counts[State.UNRUN], after.counts[State.UNRUN]
        if any(missing) and not allow_open:
            return Refusal(
                self.old.name,
                f"the records lack {missing[0]:,} and {missing[1]:,} of {before.planned:,} samples",
                "finish the runs, or compare with --open, which counts missing samples as not passed",
            )
        errors = before.counts[State.ERROR], after.counts[State.ERROR]
        same = (self.old.settings_sha256, self.old.schema_sha256) == (self.new.settings_sha256, self.new.schema_sha256)
        comparison = compare(before, after, confidence=confidence)
        return SetPair(self.old.name, comparison, missing, errors, same, request_differences(self.old, self.new))

    def _cases(self) -> list[Case]:
        """The planned cases, by id, including those that neither run got to."""
        ids = sorted({sample.case_id for sample in (*self.before, *self.after)})
        # No case id contains "::", so these placeholders for unrequested cases cannot clash with one.
        unasked = (f"::{number}" for number in range(self.old.cases - len(ids)))
        return [Case(case_id, 0, (), group=self.groups.get(case_id, "")) for case_id in (*ids, *unasked)]

    def _refusal(self, cases: int) -> Refusal | None:
        differing = differing_cases(self.before, self.after)
        ids = {sample.case_id for sample in self.before}, {sample.case_id for sample in self.after}
        otherwise = tuple(case for case in differing if case in ids[0] and case in ids[1])
        if self.old.cases_sha256 != self.new.cases_sha256:
            same = "the same questions with other expected answers, tags, metadata or order"
            problem = "its cases changed between the runs" + ("" if differing else f": {same}")
            only_before = tuple(case for case in differing if case not in ids[1])
            only_after = tuple(case for case in differing if case not in ids[0])
            return Refusal(self.old.name, problem, _ASK_AGAIN, only_before, only_after, otherwise)
        if otherwise:
            problem = "cases were requested with other prompts or tools"
            return Refusal(
                self.old.name, problem, "request both with the same prompts and tools", different_requests=otherwise
            )
        if self.old.repeats != self.new.repeats:
            problem = f"{self.old.repeats} attempts per case in one run and {self.new.repeats} in the other"
            return Refusal(self.old.name, problem, "run again with the same --repeats")
        if cases != self.old.cases or cases < 1 or self.old.repeats < 1:
            problem = f"the records hold {cases:,} cases, their manifests say {self.old.cases:,}"
            return Refusal(self.old.name, problem, "the records were edited; run the evaluations again")
        return None


def request_differences(before: EvalSetPlan, after: EvalSetPlan) -> tuple[str, ...]:
    """The parameters that differ between the requests of two runs; none if a record does not have them."""
    return tuple(changed_parameters(before.request, after.request)) if before.request and after.request else ()


def _require_closed(*runs: Run) -> None:
    for run in runs:
        if not run.manifest.closed:
            raise RunError(
                "this run is open: it has not ended",
                run.id,
                "finish it with --resume, or compare with --open, which counts missing samples as not passed",
            )


def _plans(run: Run) -> dict[str, EvalSetPlan]:
    return {plan.name: plan for plan in run.manifest.eval_sets}


def _by_set(run: Run) -> dict[str, list[Sample]]:
    sets: dict[str, list[Sample]] = {}
    for sample in run.samples().values():
        sets.setdefault(sample.eval_set, []).append(sample)
    return sets


def _names(plans: dict[str, EvalSetPlan]) -> str:
    return ", ".join(plans) or "nothing"
