"""`/v1/batches`: create, list, retrieve, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_finetune.server.batches.records import ENDPOINT, Batch
from pytest_finetune.server.ids import new_id, now
from pytest_finetune.server.jobs.records import Metadata  # noqa: TC001 - pydantic reads the annotations
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
    from starlette.requests import Request

    from pytest_finetune.server.batches.worker import BatchWorker
    from pytest_finetune.server.files import Files

_DAY = 24 * 60 * 60
_CANCELLABLE = ("validating", "in_progress")


class CreateBatch(Body):
    """The request body for a new batch."""

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: Metadata | None = None


class BatchApi:
    """
    The endpoints of batches.

    Args:
        files: Files of the server.
        worker: Answers batches.
    """

    def __init__(self, files: Files, worker: BatchWorker) -> None:
        self._files, self._store, self._worker = files, files.store, worker

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("/v1/batches", self._create, methods=["POST"]),
            Route("/v1/batches", self._list, methods=["GET"]),
            Route("/v1/batches/{id}", self._retrieve, methods=["GET"]),
            Route("/v1/batches/{id}/cancel", self._cancel, methods=["POST"]),
        ]

    def _get(self, request: Request) -> Batch:
        name = request.path_params["id"]
        batch = self._store.find(Batch, name)
        if batch is None:
            raise no_such("batch", name, "batch_id")
        return batch

    async def _create(self, request: Request) -> Response:
        body = check_body(CreateBatch, await read_json_body(request))
        if body.endpoint != ENDPOINT:
            raise ApiError(f"'{body.endpoint}' is not '{ENDPOINT}', the only endpoint of batches.", param="endpoint")
        if self._files.get(body.input_file_id, "input_file_id").purpose != "batch":
            raise ApiError("The input file must have been uploaded with the purpose 'batch'.", param="input_file_id")
        fields = body.model_dump(exclude={"endpoint"})
        batch = Batch(id=new_id("batch_"), created_at=now(), expires_at=now() + _DAY, **fields)
        self._store.add(batch)
        self._worker.wake()
        return JSONResponse(batch.to_wire())

    async def _list(self, request: Request) -> Response:
        found = self._store.page(Batch, query=read_page_query(request))
        return page_response(request, found, "batch")

    async def _retrieve(self, request: Request) -> Response:
        return JSONResponse(self._get(request).to_wire())

    async def _cancel(self, request: Request) -> Response:
        batch = self._get(request)
        if batch.status not in _CANCELLABLE:
            raise ApiError(f"Cannot cancel a batch with status '{batch.status}'.", code="cannot_cancel_batch")
        return JSONResponse(self._store.change(batch, status="cancelling", cancelling_at=now()).to_wire())
