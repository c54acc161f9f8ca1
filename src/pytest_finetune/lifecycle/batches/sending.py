"""
Sends each batch once, whatever fails in between.

The nonce of a batch is in the run before anything is sent, and the id of its uploaded file before the batch is created.
Where it is unknown whether a batch was created, the server's batches are searched for both before creation is retried.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from pytest_finetune.base.daemon_thread import in_daemon_thread
from pytest_finetune.base.errors import TrainingError
from pytest_finetune.evaluation.targets.request_body import PATHS
from pytest_finetune.lifecycle.batches.service import retried, without_batches
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_finetune.evaluation.runs import Run, SentBatch
    from pytest_finetune.lifecycle.batches.service import BatchService, ServerBatch

TRIES = 3
"""Attempts to create a batch."""

SEARCH_DELAYS = (1.0, 5.0)
"""Seconds before each search: the server may still be working on a request whose connection is gone."""

RATE_WAITS = (20.0, 60.0)
"""Seconds before each retry of a creation that a rate limit refused."""


class BatchSender:
    """
    Sends the batches of a run.

    Args:
        service: The server.
        run: Where batches are written down; this process must be its only writer.
        notify: Called with a message for the user.
    """

    def __init__(self, service: BatchService, run: Run, notify: Callable[[str], None]) -> None:
        self._service, self._run, self._notify = service, run, notify

    async def send(self, batch: SentBatch) -> SentBatch:
        """
        The batch, created if it was not yet.

        Raises:
            TrainingError: It could not be created, or it is unknown whether it was; the next call finds out.
            RunError: The record cannot be written.
        """
        if batch.batch_id:
            return batch
        if batch.file_id:
            # An earlier session may have ended before the answer to its creation arrived.
            if found := await self._search(batch):
                return await self._created(batch, found)
        else:
            batch = self._update(batch, file_id=await self._upload(batch))
        return await self._create(batch)

    async def _upload(self, batch: SentBatch) -> str:
        path = self._run.path / batch.file
        try:
            return await retried(lambda: self._service.upload(path), "the upload of the requests", self._notify)
        except OSError as error:
            raise TrainingError(f"cannot be read: {error.strerror}", str(path), "run without --resume") from error
        except TrainingError as fault:
            raise without_batches(fault, self._service.base_url) from fault

    async def _create(self, batch: SentBatch) -> SentBatch:
        unanswered = False
        last: TrainingError
        for tried in range(1, TRIES + 1):
            try:
                created = await in_daemon_thread(
                    lambda: self._service.create(batch.file_id, PATHS[batch.api], batch.nonce)
                )
            except RefusedError as fault:
                if not fault.is_temporary or tried == TRIES:
                    raise without_batches(fault, self._service.base_url) from fault
                wait = RATE_WAITS[tried - 1]
                self._notify(f"the server limits the rate ({fault.problem}); retrying in {wait:g} s")
                await asyncio.sleep(wait)
                last = fault
            except NoAnswerError as fault:
                unanswered = True
                self._notify(f"creating the batch got no answer ({fault.problem}); looking for it before retrying")
                for delay in SEARCH_DELAYS:
                    await asyncio.sleep(delay)
                    if found := await self._search(batch):
                        return await self._created(batch, found)
                last = fault
            else:
                # Servers list a batch late: the attempt without an answer may have created one after all.
                found = await self._search(batch) if unanswered else []
                return await self._created(batch, found or [created])
        raise TrainingError(
            f"the server did not create the batch in {TRIES} attempts: {last.problem}",
            last.where,
            "resume the run (--resume): it is looked for again before one is created",
        )

    async def _search(self, batch: SentBatch) -> list[ServerBatch]:
        try:
            return await retried(lambda: self._service.find(batch.nonce, batch.file_id), "the search", self._notify)
        except TrainingError as fault:
            raise TrainingError(
                f"cannot tell whether the batch was created: the server does not list its batches ({fault.problem})",
                fault.where,
                "nothing else was sent; resume the run (--resume): it is looked for again before one is created",
            ) from fault

    async def _created(self, batch: SentBatch, found: list[ServerBatch]) -> SentBatch:
        """Keep the oldest of the batches found, and cancel the others."""
        *others, first = found
        for other in others:
            if other.id == first.id:
                continue
            try:
                await in_daemon_thread(partial(self._service.cancel, other.id))
                self._notify(f"cancelled {other.id}, a duplicate of {first.id}")
            except (NoAnswerError, RefusedError) as fault:
                self._notify(f"{other.id} is a duplicate of {first.id} and could not be cancelled: {fault.problem}")
        return self._update(batch, batch_id=first.id)

    def _update(self, batch: SentBatch, **changes: str) -> SentBatch:
        changed = batch.model_copy(update=changes)
        others = self._run.manifest.batches
        self._run.update(batches=tuple(changed if one.nonce == batch.nonce else one for one in others))
        return changed
