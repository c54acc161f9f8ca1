"""Recorded answers of a foreign file as sealed runs, which `--baseline`, `replay:` and `runs compare` read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_finetune.base.records import Completion, Failure, State
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.recorded import evaluate_target
from pytest_finetune.verdicts.evalset.discovery import eval_set_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.evaluation.runs import Run, RunStore
    from pytest_finetune.lifecycle.importing.imported_records import Imported, SourceRun

PREFIX = "imported:"
"""Of the target's spec in the record: an imported run can be compared with, but is no evidence for a promotion."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """
    A run of the source, recorded.

    Args:
        name: Its name in the source; empty if that has none.
        run: The record.
        result: The verdicts over the eval set.
        agreed: Answers on which the scorer and the source's own graders agree.
        disagreed: Ids of the cases of the other answers.
    """

    name: str
    run: Run
    result: SetResult
    agreed: int
    disagreed: tuple[str, ...]


class _ImportedAnswers:
    """Answers each case with what the source recorded for it."""

    immutable = False
    free = False
    base_url = ""
    identity = ""

    def __init__(self, model: str, answers: Mapping[str, list[Completion | Failure]]) -> None:
        self.spec, self.model = f"{PREFIX}{model}", model
        self._answers = answers

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:  # noqa: ARG002
        """The recorded answer; a failure if there is none for this repeat."""
        given = self._answers.get(request.case_id, [])
        if request.attempt < len(given):
            return given[request.attempt]
        return Failure("target", "the imported file records no answer to this case")


def record_answers(
    imported: Imported, *, store: RunStore, root: Path, progress: Callable[[int, int], None] | None = None
) -> Iterator[RecordedRun]:
    """
    Record the answers of each run of the source, scored by the eval set's settings.

    Args:
        imported: What `import_file` returned.
        store: Where runs are recorded.
        root: The folder that names of eval sets are relative to.
        progress: Called after each answer with the number of samples there are, and the number planned.

    Raises:
        RunError: A record cannot be written.
    """
    if not imported.answers or imported.eval_set is None:
        return
    path = imported.target.resolve()
    eval_sets = [replace(imported.eval_set, path=path, name=eval_set_name(path, root))]
    for name, answers in imported.answers.items():
        target = _ImportedAnswers(_model(name, answers), answers.answers)
        recorded = evaluate_target(target, eval_sets, Limits(), store=store, root=root, fresh=True, progress=progress)
        result = recorded.results[0]
        disagreed = tuple(_disagreed(answers, result))
        yield RecordedRun(name, recorded.run, result, len(answers.passed) - len(disagreed), disagreed)


def _disagreed(answers: SourceRun, result: SetResult) -> Iterator[str]:
    """The cases of the answers that the scorer and the source's own graders judged differently."""
    for row in result.summary.rows if answers.passed else ():
        for attempt, sample in enumerate(row.samples):
            passed = answers.passed.get((row.case.id, attempt))
            if passed is not None and (sample is not None and sample.state is State.PASSED) is not passed:
                yield row.case.id


def _model(name: str, answers: SourceRun) -> str:
    """The model of a run: the name that most answers give, else the run's name."""
    named = [model for model, _ in answers.models.most_common() if model]
    return named[0] if named else name or "unknown"
