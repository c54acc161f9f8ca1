"""`@pytest.mark.eval_set("tickets.jsonl")`: the user's test functions, run once per case with the model's answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.records import Completion, Sample, State
from pytest_finetune.plugin.names import takes_case
from pytest_finetune.plugin.session import SESSION, skip_unrun
from pytest_finetune.verdicts.evalset.copies import number_copies
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case
    from pytest_finetune.evaluation.models_under_test import ModelsUnderTest, ModelUnderTest
    from pytest_finetune.plugin.session_inputs import SessionInputs
    from pytest_finetune.verdicts.evalset import EvalSet


SAMPLE = pytest.StashKey[Sample]()


@dataclass(frozen=True, slots=True)
class MarkedCase:
    """What a marked test function is parametrised with."""

    model: ModelUnderTest
    eval_set: EvalSet
    case: Case

    def __repr__(self) -> str:
        # pytest shows it under --setup-show, and in tracebacks under -l.
        return f"{self.eval_set.name}::{self.case.id}"


class MarkedSets:
    """
    The eval sets that marks name, each loaded once.

    Args:
        inputs: The session's own eval sets are not loaded again.

    Attributes:
        names: Names of the sets that were used.
        faults: Problems of sets that cannot be used; reported together once all tests are collected.
    """

    def __init__(self, inputs: SessionInputs) -> None:
        self.names: set[str] = set()
        self.faults: list[str] = []
        self._inputs, self._sets = inputs, dict(inputs.eval_sets)

    def find(self, mark: pytest.Mark, test_file: Path) -> EvalSet | None:
        """The eval set of a mark; None, with the fault noted, if it cannot be used."""
        try:
            path = _locate(mark, test_file, self._inputs.root)
            if path not in self._sets:
                loaded = load_eval_sets([path], root=self._inputs.root, api=self._inputs.api)
                # Numbered after all others, so that a request which another set sends too has its own answer.
                self._sets[path] = number_copies([*self._sets.values(), *loaded])[-1]
        except FinetuneError as error:
            if self._inputs.is_worker:
                # xdist takes a worker's usage error for a crash.
                raise pytest.Collector.CollectError(str(error)) from error
            self.faults.append(str(error))
            return None
        self.names.add(self._sets[path].name)
        return self._sets[path]


def parametrize(metafunc: pytest.Metafunc, sets: MarkedSets, models: ModelsUnderTest) -> None:
    """Parametrise a marked function over the cases of its set, for every model."""
    mark = metafunc.definition.get_closest_marker("eval_set")
    if mark is None or not takes_case(metafunc):
        return
    eval_set = sets.find(mark, metafunc.definition.path)
    sets_cases = [(eval_set, case) for case in eval_set.cases] if eval_set else []
    cases = [MarkedCase(model, *one) for one in sets_cases for model in models.all]
    names = [f"{c.case.id}-{c.model.spec}" if models.several else c.case.id for c in cases]
    metafunc.parametrize("eval_case", cases, ids=names, indirect=True)


def is_marked(item: pytest.Item) -> bool:
    """Whether the item is a marked function with a case."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and isinstance(callspec.params.get("eval_case"), MarkedCase)


def marked_case(item: pytest.Item) -> MarkedCase | None:
    """The case of a marked function that uses the model's answer."""
    if not is_marked(item) or "eval_completion" not in getattr(item, "fixturenames", ()):
        return None
    case: MarkedCase = item.callspec.params["eval_case"]  # type: ignore[attr-defined]
    return case


def case_of(request: pytest.FixtureRequest) -> Case:
    """The value of the fixture `eval_case`."""
    marked: MarkedCase = request.param
    return marked.case


def completion_of(request: pytest.FixtureRequest) -> Completion:
    """The value of the fixture `eval_completion`; the test fails in its setup if the request failed."""
    marked: MarkedCase = request.node.callspec.params["eval_case"]
    if SAMPLE not in request.node.stash:
        # Kept for a rerun of the test, which gets the same answer.
        samples = request.config.stash[SESSION].models.samples_of(marked.model, marked.eval_set, marked.case)
        request.node.stash[SAMPLE] = samples[0]
    sample: Sample = request.node.stash[SAMPLE]
    if sample.state is State.UNRUN:
        skip_unrun(request.node, request.config.stash[SESSION].models.stopped)
    if sample.completion is None:
        pytest.fail(sample.failure.message if sample.failure else "no answer", pytrace=False)
    return sample.completion


def _locate(mark: pytest.Mark, test_file: Path, root: Path) -> Path:
    if len(mark.args) != 1 or mark.kwargs or not isinstance(mark.args[0], (str, Path)):
        raise FinetuneError("takes one path", "@pytest.mark.eval_set", 'write @pytest.mark.eval_set("tickets.jsonl")')
    name = mark.args[0]
    tried = [folder / name for folder in (test_file.parent, root, root / "eval_sets")]
    return next((path.resolve() for path in tried if path.is_file()), tried[0])
