"""The application: its state folder, store, queues and routes."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import traceback
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_finetune.base.errors import FinetuneError, ServerError
from pytest_finetune.server.access import OPEN_PATH, Access
from pytest_finetune.server.batches.routes import BatchApi
from pytest_finetune.server.batches.worker import BatchWorker
from pytest_finetune.server.chat.completions import Completions
from pytest_finetune.server.chat.pool import ModelPool
from pytest_finetune.server.chat.routes import chat_routes
from pytest_finetune.server.files import Files, file_routes
from pytest_finetune.server.jobs.queue import TrainingQueue, TrainingSetup
from pytest_finetune.server.jobs.recorder import JobRecorder
from pytest_finetune.server.jobs.routes import JobApi
from pytest_finetune.server.models import Models, model_routes
from pytest_finetune.server.store import Store
from pytest_finetune.server.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """
    The settings of a server.

    Args:
        state: Folder for files, jobs and batches; created if missing.
        models: Folder for fine-tuned adapters, where `local:NAME` finds them.
        weights_cache: Folder for the unpacked base model.
        places: Number of models loaded, and of requests answered, at the same time.
        threads: Cores used for training.
        key: The API key that clients must send; empty if none is needed.
        log: Called with one line per request.
    """

    state: Path
    models: Path
    weights_cache: Path
    places: int
    threads: int
    key: str
    log: Callable[[str], None]


def make_app(settings: ServerSettings) -> Starlette:
    """
    Make the application and open its store; its queues run from ASGI startup to shutdown.

    Raises:
        ServerError: A folder or the store cannot be used.
    """
    folders = _made_folders(settings)
    store = Store(settings.state / "server.db")
    files, models = Files(folders["files"], store), Models(store, settings.models)
    pool = ModelPool(models.weights, settings.places)
    recorder = JobRecorder(store, files, settings.models)
    queue = TrainingQueue(recorder, TrainingSetup(folders["jobs"], settings.weights_cache, settings.threads))
    completions = Completions(pool)
    batches = BatchWorker(completions, files, folders["batches"], settings.places)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            async with _running(app, (queue, batches)):
                yield
        finally:
            await pool.close()
            store.close()

    return Starlette(
        routes=[
            Route(OPEN_PATH, _health, methods=["GET"]),
            *model_routes(models, pool),
            *chat_routes(completions),
            *file_routes(files),
            *JobApi(recorder, queue).routes(),
            *BatchApi(files, batches).routes(),
        ],
        middleware=[Middleware(Access, key=settings.key, log=settings.log)],
        exception_handlers={
            ApiError: _refuse,
            FinetuneError: _cannot,
            HTTPException: _no_route,
            ClientDisconnect: _gone,
            OSError: _unwritable,
            sqlite3.OperationalError: _unwritable,
            Exception: _broken,
        },
        lifespan=lifespan,
    )


@asynccontextmanager
async def _running(app: Starlette, workers: tuple[TrainingQueue, BatchWorker]) -> AsyncIterator[None]:
    """Run the workers in the background until the block ends."""
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    for task in tasks:
        task.add_done_callback(partial(_stop_if_broken, app))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _made_folders(settings: ServerSettings) -> dict[str, Path]:
    """Create the subfolders of the state folder; returns them by name."""
    folders = {name: settings.state / name for name in ("files", "jobs", "batches")}
    for folder in (*folders.values(), settings.models):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServerError(f"the folder cannot be used: {error.strerror}", str(folder), "choose another") from None
    return folders


def _stop_if_broken(app: Starlette, task: asyncio.Task[None]) -> None:
    """Stop the server if a queue fails: its jobs would wait forever. A restart resumes from the state on disk."""
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error)
        app.state.broken = error
        signal.raise_signal(signal.SIGTERM)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refuse(_: Request, error: Exception) -> Response:
    # starlette calls a handler only with the class it is registered for, but types all of them alike.
    return cast("ApiError", error).response()


async def _cannot(_: Request, error: Exception) -> Response:
    return ApiError(str(error), status=503, kind="server_error").response()


async def _no_route(request: Request, error: Exception) -> Response:
    error = cast("HTTPException", error)
    message = f"Invalid URL ({request.method} {request.url.path})" if error.status_code == 404 else error.detail  # noqa: PLR2004
    return ApiError(message, status=error.status_code, code="unknown_url").response()


async def _gone(_: Request, __: Exception) -> Response:
    return ApiError("The request ended before its body was complete.").response()


async def _unwritable(_: Request, error: Exception) -> Response:
    problem = getattr(error, "strerror", None) or error
    message = f"The server cannot read or write its state: {problem}"
    return ApiError(message, status=500, kind="server_error").response()


async def _broken(_: Request, __: Exception) -> Response:
    return ApiError(
        "The server had an error while processing your request.", status=500, kind="server_error"
    ).response()
