"""Answers batches: one at a time, several requests at once; each answer is on disk before the next request is sent."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.server.batches.records import Batch, BatchError, BatchRequest, read_requests
from pytest_finetune.server.ids import new_id, now
from pytest_finetune.server.wire import ApiError, encode_line, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_finetune.server.chat.completions import Completions
    from pytest_finetune.server.files import Files

OPEN = ("validating", "in_progress", "finalizing", "cancelling")
_OUTPUT, _ERRORS = "output.jsonl", "errors.jsonl"
_CHUNK = 1 << 20


class BatchWorker:
    """
    Answers batches until it is cancelled.

    Args:
        completions: Answers requests.
        files: Files of the server, for input and output.
        folder: Folder for the answers of unfinished batches.
        concurrency: Maximum number of concurrent requests.
    """

    def __init__(self, completions: Completions, files: Files, folder: Path, concurrency: int) -> None:
        self._completions, self._files, self._store = completions, files, files.store
        self._folder, self._concurrency = folder, concurrency
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Wake the worker because a batch was created."""
        self._changed.set()

    async def run(self) -> None:
        """Answer batch after batch, oldest first."""
        while True:
            self._changed.clear()
            batch = next((batch for batch in self._store.all(Batch) if batch.status in OPEN), None)
            if batch is None:
                await self._changed.wait()
            else:
                await self._process(batch)

    async def _process(self, batch: Batch) -> None:
        requests: list[BatchRequest] = []
        try:
            requests, errors = await asyncio.to_thread(read_requests, self._files.folder / batch.input_file_id)
        except OSError as error:
            errors = [BatchError(code="file_not_readable", message=f"The input file is gone: {error.strerror}")]
        if errors:
            self._store.change(self._store.current(batch), status="failed", failed_at=now(), errors=tuple(errors[:100]))
            return
        batch = self._store.current(batch)
        if batch.status == "validating":
            batch = self._store.change(batch, status="in_progress", in_progress_at=now(), total=len(requests))
        folder = self._folder / batch.id
        folder.mkdir(exist_ok=True)
        await self._answer_all(batch, requests, folder)
        self._finish(self._store.current(batch), folder)

    async def _answer_all(self, batch: Batch, requests: list[BatchRequest], folder: Path) -> None:
        done = {line["custom_id"] for name in (_OUTPUT, _ERRORS) for line in _answered(folder / name)}
        remaining = iter([request for request in requests if request.custom_id not in done])

        async def answer_remaining() -> None:
            for request in remaining:
                if self._store.current(batch).status != "in_progress":
                    return
                await self._answer(batch, request, folder)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._concurrency):
                tasks.create_task(answer_remaining())

    async def _answer(self, batch: Batch, request: BatchRequest, folder: Path) -> None:
        status, body = await self._response(request)
        response = {"status_code": status, "request_id": new_id("req_"), "body": body}
        line = {"id": new_id("batch_req_"), "custom_id": request.custom_id, "response": response, "error": None}
        succeeded = status == 200  # noqa: PLR2004 - HTTP OK
        # Appended, not replaced: each answer is written once and survives a kill, except for a half-written last line.
        with (folder / (_OUTPUT if succeeded else _ERRORS)).open("ab") as file:
            file.write(encode_line(line))
        counted = "completed" if succeeded else "failed"
        batch = self._store.current(batch)
        self._store.change(batch, **{counted: getattr(batch, counted) + 1})

    async def _response(self, request: BatchRequest) -> tuple[int, dict[str, Any]]:
        try:
            return 200, await self._completions.answer(request.body)
        except ApiError as error:
            return error.status, error.body()
        except FinetuneError as error:
            return 500, ApiError(str(error), kind="server_error").body()

    def _finish(self, batch: Batch, folder: Path) -> None:
        if batch.status == "in_progress":
            batch = self._store.change(batch, status="finalizing", finalizing_at=now())
        ended: dict[str, Any] = {"status": "completed", "completed_at": now()}
        if batch.status == "cancelling":
            ended = {"status": "cancelled", "cancelled_at": now()}
        # Counted from the file, because a kill between writing an answer and counting it loses the count.
        counts = {"completed": _OUTPUT, "failed": _ERRORS}
        self._store.change(
            batch,
            **ended,
            **{field: sum(1 for _ in _answered(folder / name)) for field, name in counts.items()},
            output_file_id=self._output_file(folder / _OUTPUT, f"{batch.id}_output.jsonl"),
            error_file_id=self._output_file(folder / _ERRORS, f"{batch.id}_error.jsonl"),
        )

    def _output_file(self, path: Path, name: str) -> str | None:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return self._files.write(name, "batch_output", iter(lambda: file.read(_CHUNK), b"")).id


def _answered(path: Path) -> Iterator[dict[str, Any]]:
    """Read the answers that are on disk; a half-written last line of a killed server is removed."""
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    for line in whole.splitlines():
        yield parse_object(line)
