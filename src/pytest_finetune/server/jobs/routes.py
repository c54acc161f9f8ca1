"""`/v1/fine_tuning/jobs`: create, list, retrieve, events, checkpoints, cancel, pause, resume."""

from __future__ import annotations

import re
import secrets
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_finetune.evaluation.targets.weights import BASE
from pytest_finetune.server.ids import new_id, now
from pytest_finetune.server.jobs.records import ENDED, Job, JobCheckpoint, JobEvent, JobHyperparameters, Metadata
from pytest_finetune.server.wire import (
    ApiError,
    Body,
    check_body,
    no_such,
    page_response,
    read_json_body,
    read_page_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from pytest_finetune.server.files import Files
    from pytest_finetune.server.jobs.queue import TrainingQueue
    from pytest_finetune.server.jobs.recorder import JobRecorder
    from pytest_finetune.server.jobs.records import JobStatus

_METADATA = re.compile(r"metadata\[(.+)\]")
_NEEDED = ("torch", "transformers", "peft", "gguf", "safetensors")


class Supervised(Body):
    """The object `method.supervised`."""

    hyperparameters: JobHyperparameters = JobHyperparameters()


class Method(Body):
    """The object `method`; only supervised fine-tuning is supported."""

    type: Literal["supervised"]
    supervised: Supervised = Supervised()


class CreateJob(Body):
    """The request body for a new job."""

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: JobHyperparameters | None = None
    method: Method | None = None
    suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")] | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    metadata: Metadata | None = None
    integrations: Annotated[list[Any], Field(max_length=0)] | None = None


class JobApi:
    """
    The endpoints of fine-tuning jobs.

    Args:
        recorder: Records jobs and what happens to them.
        queue: Trains them.
    """

    def __init__(self, recorder: JobRecorder, queue: TrainingQueue) -> None:
        self._recorder, self._store, self._queue = recorder, recorder.store, queue

    def routes(self) -> list[Route]:
        """All routes."""
        root = "/v1/fine_tuning/jobs"
        looks = {"": self._retrieve, "/events": self._events, "/checkpoints": self._checkpoints}
        changes = {"/cancel": self._cancel, "/pause": self._pause, "/resume": self._resume}
        return [
            Route(root, self._create, methods=["POST"]),
            Route(root, self._list, methods=["GET"]),
            *(Route(f"{root}/{{id}}{path}", endpoint, methods=["GET"]) for path, endpoint in looks.items()),
            *(Route(f"{root}/{{id}}{path}", endpoint, methods=["POST"]) for path, endpoint in changes.items()),
        ]

    def _get(self, request: Request) -> Job:
        name = request.path_params["id"]
        job = self._store.find(Job, name)
        if job is None:
            raise no_such("fine-tuning job", name, "fine_tuning_job_id")
        return job

    async def _create(self, request: Request) -> Response:
        job = _new_job(check_body(CreateJob, await read_json_body(request)), self._recorder.files)
        self._store.add(job)
        self._recorder.add_event(job, f"Created fine-tuning job: {job.id}", name="created")
        self._queue.wake()
        return JSONResponse(job.to_wire())

    async def _list(self, request: Request) -> Response:
        found = self._store.page(Job, query=read_page_query(request), metadata=_wanted_metadata(request))
        return page_response(request, found, "fine-tuning job")

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(self._get(request).to_wire())

    async def _events(self, request: Request) -> Response:
        found = self._store.page(JobEvent, parent=self._get(request).id, query=read_page_query(request))
        return page_response(request, found, "event")

    async def _checkpoints(self, request: Request) -> Response:
        found = self._store.page(JobCheckpoint, parent=self._get(request).id, query=read_page_query(request))
        return page_response(request, found, "checkpoint")

    async def _cancel(self, request: Request) -> Response:
        when: tuple[JobStatus, ...] = ("validating_files", "queued", "running", "paused")
        return _changed(self._get(request), "cancel", when, self._queue.cancel)

    async def _pause(self, request: Request) -> Response:
        return _changed(self._get(request), "pause", ("queued", "running"), self._queue.pause)

    async def _resume(self, request: Request) -> Response:
        return _changed(self._get(request), "resume", ("paused",), self._queue.resume)


def _new_job(body: CreateJob, files: Files) -> Job:
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ApiError(
            f"This server cannot train: {', '.join(missing)} is not installed. pip install 'pytest-finetune[train]'",
            code="training_unavailable",
        )
    if body.model != BASE:
        message = f"Model {body.model} is not available for fine-tuning or does not exist. Known: {BASE}"
        raise ApiError(message, param="model", code="model_not_available")
    for param in ("training_file", "validation_file"):
        _check_file(getattr(body, param), param, files)
    if body.method is not None and body.hyperparameters is not None:
        message = "Give hyperparameters once: in 'method', which replaced 'hyperparameters', or there."
        raise ApiError(message, param="hyperparameters")
    hyperparameters = body.method.supervised.hyperparameters if body.method else body.hyperparameters
    return Job(
        id=new_id("ftjob-"),
        created_at=now(),
        model=body.model,
        training_file=body.training_file,
        validation_file=body.validation_file,
        hyperparameters=hyperparameters or JobHyperparameters(),
        suffix=body.suffix or None,
        seed=secrets.randbelow(2**31) if body.seed is None else body.seed,
        metadata=body.metadata,
    )


def _check_file(name: str | None, param: str, files: Files) -> None:
    if name is None:
        return
    try:
        purpose = files.get(name, param).purpose
    except ApiError:
        raise ApiError(f"invalid {param}: {name}", param=param, code="invalid_file") from None
    if purpose != "fine-tune":
        message = f"File {name} has the purpose '{purpose}'; upload it with the purpose 'fine-tune'."
        raise ApiError(message, param=param, code="invalid_file_purpose")


def _changed(job: Job, verb: str, when: tuple[JobStatus, ...], change: Callable[[Job], Job]) -> Response:
    if job.status not in when:
        already = "has already ended and" if job.status in ENDED else "cannot be changed: it"
        message = f"Job {job.id} {already} is {job.status}; only a job that is {' or '.join(when)} can {verb}."
        raise ApiError(message, code=f"cannot_{verb}_job")
    return JSONResponse(change(job).to_wire())


def _wanted_metadata(request: Request) -> dict[str, str]:
    pairs = ((_METADATA.fullmatch(key), value) for key, value in request.query_params.items())
    return {found[1]: value for found, value in pairs if found}
