"""What an evaluation requests: every case of its eval sets, each as often as the set repeats it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_finetune.base.model_ids import model_title
from pytest_finetune.evaluation.engine import KeyedRequest
from pytest_finetune.evaluation.runs import EvalSetPlan, TargetInfo
from pytest_finetune.verdicts.evalset.request_form import ANSWER_AFTER, changed_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
    """Every planned sample of the eval sets, case by case, in the order in which they are asked."""
    for eval_set in eval_sets:
        for case in eval_set.in_asking_order:
            for attempt in range(eval_set.repeats):
                yield Planned(eval_set, case, attempt)


def target_title(target: Target) -> str:
    """The name of the model in reports."""
    return model_title(target.spec, target.model, getattr(target, "version", ""))


def target_info(target: Target) -> TargetInfo:
    """The target as it appears in a run's manifest."""
    return TargetInfo(
        spec=target.spec,
        model=target.model,
        base_url=target.base_url,
        identity=target.identity,
        version=getattr(target, "version", ""),
    )


_NONE: Mapping[str, TargetInfo] = MappingProxyType({})
_CHANGED = "the settings have changed since, which replay does not apply"


class SentRequests(NamedTuple):
    """The parameters that the answers to an eval set are requested with, for the record, and notes about them."""

    parameters: Mapping[str, Any]
    notes: tuple[str, ...]


def sent_requests(target: Target, eval_set: EvalSet) -> SentRequests:
    """How the answers of a target are requested, or were, if they are recorded ones."""
    form = eval_set.form(target.model)
    if (recorded := getattr(target, "recorded_request", None)) is None:
        return SentRequests(form.recorded, form.notes)
    parameters, notes = recorded(eval_set.name)
    if not parameters:
        return SentRequests(parameters, notes)
    # What the answer follows is applied now, to the recorded text.
    applied = {key: value for key, value in form.recorded.items() if key == ANSWER_AFTER}
    parameters = {key: value for key, value in parameters.items() if key != ANSWER_AFTER} | applied
    # The note of a replay that is replayed is about the settings of its day.
    notes = tuple(note for note in notes if not note.startswith(_CHANGED))
    if changed := changed_parameters(parameters, form.recorded):
        notes = (*notes, f"{_CHANGED}: {', '.join(changed)}")
    return SentRequests(parameters, notes)


def set_plan(
    eval_set: EvalSet, model: str, sent: SentRequests | None = None, asked: Mapping[str, TargetInfo] = _NONE
) -> EvalSetPlan:
    """
    The eval set as it appears in the manifest.

    Args:
        eval_set: The set.
        model: The id in requests.
        sent: How its answers are requested, if not as its settings say.
        asked: What its scorers ask, by name; that of the deciding one is empty.
    """
    form = eval_set.form(model)
    sent = sent or SentRequests(form.recorded, form.notes)
    return EvalSetPlan(
        name=eval_set.name,
        cases=len(eval_set.cases),
        repeats=eval_set.repeats,
        max_errors=eval_set.settings.max_errors,
        cases_sha256=eval_set.cases_sha256,
        settings_sha256=eval_set.settings_sha256,
        schema_sha256=eval_set.schema_sha256,
        request=dict(sent.parameters),
        request_notes=sent.notes,
        judge=asked.get(""),
        asked={name: info for name, info in asked.items() if name},
    )
