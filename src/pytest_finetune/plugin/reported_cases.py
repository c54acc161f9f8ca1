"""What a report is of, found again on the controller by the key that it carries."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Sample, State

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case
    from pytest_finetune.plugin.session import FinetuneSession
    from pytest_finetune.verdicts.evalset import EvalSet


class ReportedCases:
    """The cases of a session by model, eval set and id, with the samples that have come."""

    def __init__(self, session: FinetuneSession) -> None:
        self._session = session

    def find(self, model: str, eval_set: str, case_id: str) -> tuple[EvalSet, Case, list[Sample]]:
        """The set, the case, and a sample for each planned attempt."""
        found, cases = self._cases[eval_set]
        mine = self._samples[model]
        keys = [(eval_set, case_id, attempt) for attempt in range(found.repeats)]
        return found, cases[case_id], [mine.get(key) or Sample(*key, State.UNRUN) for key in keys]

    def run_id(self, model: str) -> str:
        """Id of a model's run; empty where nothing is recorded."""
        run = next(one.evaluation.run for one in self._session.models if one.spec == model)
        return run.id if run else ""

    @cached_property
    def _cases(self) -> dict[str, tuple[EvalSet, dict[str, Case]]]:
        sets = self._session.eval_sets.values()
        return {eval_set.name: (eval_set, {case.id: case for case in eval_set.cases}) for eval_set in sets}

    @cached_property
    def _samples(self) -> dict[str, dict[tuple[str, str, int], Sample]]:
        return {model.spec: model.samples for model in self._session.models}
