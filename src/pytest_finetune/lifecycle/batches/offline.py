"""Requests for an offline engine, such as `vllm run-batch`, and its output as the answers of the same plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_finetune.base.errors import DataError
from pytest_finetune.base.files import write_file
from pytest_finetune.base.model_ids import names_fixed_weights
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.evaluation.plan import plan, set_plan
from pytest_finetune.evaluation.runs import EvalSetPlan  # noqa: TC001 - pydantic reads the annotations
from pytest_finetune.lifecycle.batches.answer_files import read_answers
from pytest_finetune.lifecycle.batches.request_files import custom_id, key_of, write_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from decimal import Decimal
    from pathlib import Path

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.request_form import Api

_NO_ANSWER = Failure("batch", "the output has no line for this request")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportedFile(_Record):
    """A file of requests: its name next to the plan, the start of its ids, its API and its number of requests."""

    name: str
    nonce: str
    api: Literal["chat", "responses"]
    requests: int


class ExportedPlan(_Record):
    """
    What was exported, so that only answers to it are imported.

    Args:
        model: The id in the requests.
        eval_sets: The eval sets as they were.
        api: The API that was chosen for all requests; None if the eval sets and the model decide.
        repeats: The attempts per case that were chosen for all eval sets; None if their settings decide.
        files: The files of requests.
    """

    format: Literal[1] = 1
    model: str
    created_at: datetime
    eval_sets: tuple[EvalSetPlan, ...]
    api: Literal["chat", "responses"] | None = None
    repeats: int | None = None
    files: tuple[ExportedFile, ...]


def export_plan(
    eval_sets: Sequence[EvalSet], model: str, target: Path, *, api: Api | None = None, repeats: int | None = None
) -> tuple[ExportedPlan, Path]:
    """
    Write the requests of a plan, and next to them the plan that `OfflineTarget` needs.

    Args:
        eval_sets: The plan.
        model: The id in the requests: the name that the engine serves the model under.
        target: The file of requests; a second one, for another API, gets a number.
        api: The API that was chosen for all requests when the eval sets were loaded.
        repeats: Likewise the attempts per case.

    Returns:
        The plan and its file.

    Raises:
        RunError: A file cannot be written.
        DataError: A request has no place in a batch, or the plan cannot be written.
    """
    requests = (planned.request(model).request for planned in plan(eval_sets))
    target.parent.mkdir(parents=True, exist_ok=True)

    def name(_: str, number: int) -> str:
        return target.name if number == 1 else f"{target.stem}-{number}{target.suffix}"

    written = write_requests(requests, target.parent, name, split=False)
    if written.refused:
        (_, case, _), failure = next(iter(written.refused.items()))
        raise DataError(f"the case {case!r} cannot be requested in a batch: {failure.message}", str(target))
    exported = ExportedPlan(
        model=model,
        created_at=datetime.now(UTC),
        eval_sets=tuple(set_plan(each, model) for each in eval_sets),
        api=api,
        repeats=repeats,
        files=tuple(
            ExportedFile(name=one.path.name, nonce=one.nonce, api=one.api, requests=one.requests)
            for one in written.files
        ),
    )
    path = target.with_suffix(".plan.json")
    try:
        write_file(path, exported.model_dump_json(indent=1).encode() + b"\n", private=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", str(path)) from error
    return exported, path


def read_plan(path: Path) -> ExportedPlan:
    """
    The plan of an export.

    Raises:
        DataError: It cannot be read.
    """
    hint = "name the .plan.json file that `pytest-finetune batch export` wrote"
    try:
        return ExportedPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path), hint) from error
    except ValidationError as error:
        raise DataError(f"not the plan of an export: {error.errors()[0]['msg']}", str(path), hint) from error


class OfflineTarget:
    """
    Answers from the output of an offline engine.

    Args:
        exported: The plan that its requests were exported with.
        outputs: The output files, in any order.
        source: The file of the plan, for messages.
    """

    free = False
    base_url = identity = version = ""

    def __init__(self, exported: ExportedPlan, outputs: Sequence[Path], *, source: Path) -> None:
        self.spec = self.model = exported.model
        self.immutable = names_fixed_weights(self.model)
        self._exported, self._outputs, self._source = exported, outputs, source
        self._outcomes: dict[Key, Completion | Failure] = {}
        self._faults: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the output."""
        return tuple(dict.fromkeys(self._faults))

    def refuse_other_plan(self, eval_sets: Sequence[EvalSet]) -> None:
        """
        Check that the eval sets are those of the export.

        Raises:
            DataError: One has changed since.
        """
        before = {one.name: one for one in self._exported.eval_sets}
        for eval_set in eval_sets:
            now, then = set_plan(eval_set, self.model), before.get(eval_set.name)
            if then == now:
                continue
            changed = "was not exported" if then is None else f"has changed since the export: {_changes(then, now)}"
            hint = "the answers belong to what was exported: export the requests again"
            raise DataError(f"{eval_set.name} {changed}", str(self._source), hint)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:  # noqa: ARG002
        """The answer in the output."""
        return self._outcomes.get(key_of(request), _NO_ANSWER)

    async def fetch(
        self,
        run: Run,  # noqa: ARG002
        requests: Sequence[Request],
        afford: Callable[[Sequence[Request]], Decimal | None],  # noqa: ARG002
    ) -> list[Completion | Failure]:
        """
        The outcome of every request.

        Raises:
            DataError: An output file cannot be read, or answers no request of this export.
        """
        by_file = {path: list(_lines(path)) for path in self._outputs}
        for path, lines in by_file.items():
            if not any(nonce in line for nonce in self._nonces() for line in lines):
                hint = f"import what the engine wrote for the requests that {self._source} lists"
                raise DataError("the output answers no request of this export", str(path), hint)
        names = ", ".join(path.name for path in self._outputs)
        lines = [line for lines in by_file.values() for line in lines]
        keys = {
            file.api: {custom_id(file.nonce, key_of(one)): key_of(one) for one in requests if one.api == file.api}
            for file in self._exported.files
        }
        known = {name for of_api in keys.values() for name in of_api}
        for api, of_api in keys.items():
            read = read_answers(lines, of_api, known=known, name=names, api=api, missing=_NO_ANSWER.message)
            self._outcomes |= read.outcomes
            self._faults += read.faults
        return [self._outcomes.get(key_of(one), _NO_ANSWER) for one in requests]

    def _nonces(self) -> list[bytes]:
        return [file.nonce.encode() for file in self._exported.files]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        yield from path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", str(path)) from error


def _changes(then: EvalSetPlan, now: EvalSetPlan) -> str:
    words = {"cases_sha256": "its cases", "settings_sha256": "its settings", "schema_sha256": "its schema"}
    old, new = then.model_dump(), now.model_dump()
    return ", ".join(dict.fromkeys(words.get(name, name.replace("_", " ")) for name in old if old[name] != new[name]))
