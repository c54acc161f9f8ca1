"""Finds the case of a test report on the controller, by the key that the report carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import Sample, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest
    from pytest_finetune.verdicts.evalset import EvalSet


class ReportedCases:
    """The cases of a session by model, eval set and id, with the samples so far."""

    def __init__(self, eval_sets: Iterable[EvalSet], models: ModelsUnderTest) -> None:
        self._cases = {one.name: (one, {case.id: case for case in one.cases}) for one in eval_sets}
        self._evaluations = {model.spec: model.evaluation for model in models.all}

    def find(self, model: str, eval_set: str, case_id: str) -> tuple[EvalSet, Case, list[Sample]]:
        """The set, the case, and a sample for each planned attempt."""
        found, cases = self._cases[eval_set]
        samples = self._evaluations[model].samples
        keys = [(eval_set, case_id, attempt) for attempt in range(found.repeats)]
        return found, cases[case_id], [samples.get(key) or Sample(*key, State.UNRUN) for key in keys]

    def run_id(self, model: str) -> str:
        """Id of a model's run; empty where nothing is recorded."""
        run = self._evaluations[model].run
        return run.id if run else ""
