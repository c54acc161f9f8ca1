"""The models of the server, the base model and its fine-tunes, and the routes below `/v1/models`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_finetune.evaluation.targets.weights import BASE, Weights, find_weights
from pytest_finetune.server.jobs.records import TunedModel
from pytest_finetune.server.wire import ApiError, no_such

if TYPE_CHECKING:
    from starlette.requests import Request

    from pytest_finetune.server.chat.pool import ModelPool
    from pytest_finetune.server.store import Store

_BASE_CREATED = 1730246400
"""When smollm2-135m was published: 30 October 2024."""


@dataclass(frozen=True, slots=True)
class Models:
    """
    The models that answer requests.

    Args:
        store: Store of the records of fine-tuned models.
        folder: Folder of their adapters.
    """

    store: Store
    folder: Path

    def weights(self, name: str) -> Weights:
        """
        Find the files of a model.

        Raises:
            ApiError: There is no such model, or its adapter is missing.
            TargetError: The weights of the base model are not installed.
        """
        base = find_weights(f"local:{BASE}", Path())
        if name == BASE:
            return base
        tuned = self.store.find(TunedModel, name)
        if tuned is None or not (self.folder / tuned.file).is_file():
            message = f"The model `{name}` does not exist or you do not have access to it."
            raise ApiError(message, status=404, param="model", code="model_not_found")
        return Weights(name, base.model, self.folder / tuned.file)


def model_routes(models: Models, pool: ModelPool) -> list[Route]:
    """`/v1/models`: list, retrieve, and delete fine-tuned models."""
    base = {"id": BASE, "object": "model", "created": _BASE_CREATED, "owned_by": "huggingface"}

    def find(request: Request) -> TunedModel:
        name = request.path_params["id"]
        tuned = models.store.find(TunedModel, name)
        if tuned is None:
            raise no_such("model", name, "model")
        return tuned

    async def listed(_: Request) -> Response:
        tuned: list[dict[str, Any]] = [record.to_wire() for record in models.store.all(TunedModel)]
        return JSONResponse({"object": "list", "data": [base, *tuned]})

    async def retrieve(request: Request) -> Response:
        return JSONResponse(base if request.path_params["id"] == BASE else find(request).to_wire())

    async def delete(request: Request) -> Response:
        if request.path_params["id"] == BASE:
            raise ApiError("The base model cannot be deleted.", status=403, param="model")
        tuned = find(request)
        models.store.remove(tuned)
        await pool.forget(tuned.id)
        (models.folder / tuned.file).unlink(missing_ok=True)
        return JSONResponse({"id": tuned.id, "object": "model", "deleted": True})

    return [
        Route("/v1/models", listed, methods=["GET"]),
        Route("/v1/models/{id:path}", retrieve, methods=["GET"]),
        Route("/v1/models/{id:path}", delete, methods=["DELETE"]),
    ]
