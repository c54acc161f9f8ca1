"""`@pytest.mark.eval_set("tickets.jsonl")`: the user's own test functions over the same cases and answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.records import Completion, Sample, State
from pytest_finetune.plugin.session import SESSION
from pytest_finetune.reports.redaction import failure_words

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case
    from pytest_finetune.plugin.session import FinetuneSession, ModelUnderTest
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


def parametrize(metafunc: pytest.Metafunc, session: FinetuneSession) -> None:
    """Parametrise a marked function over the cases of its set, for every model."""
    mark = metafunc.definition.get_closest_marker("eval_set")
    if mark is None or "eval_case" not in metafunc.fixturenames:
        return
    try:
        eval_set = session.marked_set(_locate(mark, metafunc.definition.path, session.root))
    except FinetuneError as error:
        if session.is_worker:
            # A worker's usage error would be a crash to xdist.
            raise pytest.Collector.CollectError(str(error)) from error
        session.mark_faults.append(str(error))
        metafunc.parametrize("eval_case", [], indirect=True)
        return
    cases = [MarkedCase(model, eval_set, case) for case in eval_set.cases for model in session.models]
    names = [f"{c.case.id}-{c.model.spec}" if session.columns else c.case.id for c in cases]
    metafunc.parametrize("eval_case", cases, ids=names, indirect=True)


def is_marked(item: pytest.Item) -> bool:
    """The item runs for a case of an eval set."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and isinstance(callspec.params.get("eval_case"), MarkedCase)


def marked_case(item: pytest.Item) -> MarkedCase | None:
    """The case of an item that will want an answer."""
    if not is_marked(item) or "eval_completion" not in getattr(item, "fixturenames", ()):
        return None
    case: MarkedCase = item.callspec.params["eval_case"]  # type: ignore[attr-defined]
    return case


def case_of(request: pytest.FixtureRequest) -> Case:
    """The case itself."""
    marked: MarkedCase = request.param
    return marked.case


def completion_of(request: pytest.FixtureRequest) -> Completion:
    """The answer to the item's case; an error ends the test in its setup."""
    marked: MarkedCase = request.node.callspec.params["eval_case"]
    if SAMPLE not in request.node.stash:
        # Kept for a rerun, which is of the same answer.
        answers = request.config.stash[SESSION].answers(marked.model, marked.eval_set, marked.case)
        request.node.stash[SAMPLE] = answers[0]
    sample: Sample = request.node.stash[SAMPLE]
    if sample.state is State.UNRUN:
        stopped = request.config.stash[SESSION].stopped
        redact = request.config.option.finetune_redact
        pytest.skip(f"unrun: {failure_words(stopped, redact=redact) if stopped else 'not requested'}")
    if sample.completion is None:
        pytest.fail(sample.failure.message if sample.failure else "no answer", pytrace=False)
    return sample.completion


def _locate(mark: pytest.Mark, test_file: Path, root: Path) -> Path:
    if len(mark.args) != 1 or mark.kwargs or not isinstance(mark.args[0], (str, Path)):
        raise FinetuneError("takes one path", "@pytest.mark.eval_set", 'write @pytest.mark.eval_set("tickets.jsonl")')
    name = mark.args[0]
    tried = [folder / name for folder in (test_file.parent, root, root / "eval_sets")]
    return next((path.resolve() for path in tried if path.is_file()), tried[0])
