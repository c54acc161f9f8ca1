"""The application: its state folder, store, queues and routes."""

from __future__ import annotations

import asyncio
import signal
import traceback
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_finetune.base.errors import ServerError
from pytest_finetune.server.access import OPEN_PATH, Access
from pytest_finetune.server.batches.routes import BatchApi
from pytest_finetune.server.batches.worker import BatchWorker
from pytest_finetune.server.chat.completions import Completions
from pytest_finetune.server.chat.pool import ModelPool
from pytest_finetune.server.chat.routes import chat_routes
from pytest_finetune.server.error_responses import EXCEPTION_HANDLERS
from pytest_finetune.server.files import FileApi, Files
from pytest_finetune.server.jobs.queue import TrainingQueue, TrainingSetup
from pytest_finetune.server.jobs.recorder import JobRecorder
from pytest_finetune.server.jobs.routes import JobApi
from pytest_finetune.server.models import Models, model_routes
from pytest_finetune.server.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """
    The settings of a server.

    Args:
        state: Folder for files, jobs and batches; created if missing.
        models: Folder for fine-tuned adapters, where `local:NAME` finds them.
        weights_cache: Folder for the unpacked base model.
        places: Maximum number of loaded models and of concurrent completions.
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
    Create the application and open its store; its queues run from ASGI startup to shutdown.

    Raises:
        ServerError: A folder or the store cannot be used.
    """
    folders = _create_folders(settings)
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
            *FileApi(files).routes(),
            *JobApi(recorder, queue).routes(),
            *BatchApi(files, batches).routes(),
        ],
        middleware=[Middleware(Access, key=settings.key, log=settings.log)],
        exception_handlers=EXCEPTION_HANDLERS,
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


def _create_folders(settings: ServerSettings) -> dict[str, Path]:
    """Create the subfolders of the state folder; returns them by name."""
    folders = {name: settings.state / name for name in ("files", "jobs", "batches")}
    for folder in (*folders.values(), settings.models):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServerError(f"the folder cannot be used: {error.strerror}", str(folder), "choose another") from None
    return folders


def _stop_if_broken(app: Starlette, task: asyncio.Task[None]) -> None:
    """Stop the server if a queue fails, because its jobs would wait forever; a restart resumes them."""
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error)
        app.state.broken = error
        signal.raise_signal(signal.SIGTERM)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})
