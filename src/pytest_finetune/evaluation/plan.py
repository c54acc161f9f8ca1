"""What an evaluation requests: every case of its eval sets, each as often as the set repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.evaluation.engine import KeyedRequest
from pytest_finetune.evaluation.runs import EvalSetPlan, TargetInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet

Key = tuple[str, str, int]
"""A sample's eval set, case id and attempt."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One planned sample: a case and its 0-based repeat."""

    eval_set: EvalSet
    case: Case
    attempt: int

    @property
    def key(self) -> Key:
        """Identifies the sample in its run."""
        return self.eval_set.name, self.case.id, self.attempt

    def request(self, model: str) -> KeyedRequest[Planned]:
        """The request that this sample sends to a model."""
        return KeyedRequest(self, self.eval_set.request(self.case, model, self.attempt))


def plan(eval_sets: Iterable[EvalSet]) -> Iterator[Planned]:
    """Every planned sample of the eval sets, case by case."""
    for eval_set in eval_sets:
        for case in eval_set.cases:
            for attempt in range(eval_set.repeats):
                yield Planned(eval_set, case, attempt)


def target_info(target: Target) -> TargetInfo:
    """The target as it appears in a run's manifest."""
    return TargetInfo(spec=target.spec, model=target.model, base_url=target.base_url, identity=target.identity)


def set_plan(eval_set: EvalSet, model: str) -> EvalSetPlan:
    """The eval set as it appears in the manifest of a run that sends its requests to a model."""
    form = eval_set.form(model)
    return EvalSetPlan(
        name=eval_set.name,
        cases=len(eval_set.cases),
        repeats=eval_set.repeats,
        max_errors=eval_set.settings.max_errors,
        cases_sha256=eval_set.cases_sha256,
        settings_sha256=eval_set.settings_sha256,
        schema_sha256=eval_set.schema_sha256,
        request=form.recorded,
        request_notes=form.notes,
    )
