"""`--batch`: a model whose answers are requested as batches, at their price, and scored as if asked one by one."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from pytest_finetune.base.daemon_thread import in_daemon_thread
from pytest_finetune.base.errors import TargetError, TrainingError
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.evaluation.runs import RunStore, SentBatch
from pytest_finetune.evaluation.targets.client import ClientTarget
from pytest_finetune.evaluation.targets.official_client import make_client
from pytest_finetune.evaluation.targets.openai import OpenAITarget
from pytest_finetune.lifecycle.batches.answer_files import read_answers
from pytest_finetune.lifecycle.batches.request_files import custom_id, key_of, read_ids, write_requests
from pytest_finetune.lifecycle.batches.sending import BatchSender
from pytest_finetune.lifecycle.batches.service import BatchService, retried
from pytest_finetune.lifecycle.training.api_errors import NoAnswerError, RefusedError
from pytest_finetune.lifecycle.training.service import NO_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from decimal import Decimal

    from openai import OpenAI

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.lifecycle.batches.service import ServerBatch

FIRST_WAIT, LONGEST_WAIT, GROWTH = 1.0, 60.0, 1.5
"""Seconds between two polls: a small batch may end at once, a large one takes hours."""

GIVE_UP = 3600.0
"""Seconds without an answer after which polling ends; the batch goes on, and `--resume` collects it."""

NOT_SENT = "this request was not sent: a batch is sent before the first test, and could not foresee it"
_WHY_MISSING = {
    "failed": "the batch failed",
    "expired": "the batch expired before this request was answered",
    "cancelled": "the batch was cancelled before this request was answered",
}


@dataclass(frozen=True, slots=True)
class BatchReporting:
    """
    Where the state of batches is reported.

    Args:
        on_message: Called with a message for the user; None for nothing.
        on_progress: Called at each poll with the number of requests that have an outcome, and of all; None for nothing.
    """

    on_message: Callable[[str], None] | None = None
    on_progress: Callable[[int, int], None] | None = None

    def notify(self, message: str) -> None:
        """Report a message."""
        if self.on_message is not None:
            self.on_message(message)

    def progress(self, done: int, total: int) -> None:
        """Report how many requests have an outcome."""
        if self.on_progress is not None:
            self.on_progress(done, total)


def batch_target(target: Target, reporting: BatchReporting) -> Target:
    """
    The target with its requests sent as batches; recorded answers need none.

    Raises:
        TargetError: It has no batches.
    """
    if hasattr(target, "recorded_request"):
        return target
    hint = "run without --batch"
    if isinstance(target, OpenAITarget):
        return BatchTarget(target, reporting)
    if isinstance(target, ClientTarget):
        if target.is_asynchronous:
            raise TargetError("an asynchronous client cannot send batches", target.spec, "return an openai.OpenAI")
        return BatchTarget(target, reporting)
    raise TargetError(f"{target.spec} has no batch API", "--batch", hint)


class BatchTarget:
    """
    A model behind `POST {base_url}/files` and `POST {base_url}/batches`.

    Args:
        target: The model.
        reporting: Where their state is reported.
    """

    def __init__(self, target: OpenAITarget | ClientTarget, reporting: BatchReporting) -> None:
        self.spec, self.model, self.base_url = target.spec, target.model, target.base_url
        self.identity, self.immutable, self.free = target.identity, target.immutable, target.free
        self.version: str = getattr(target, "version", "")
        self.secret = target.secret
        self._target, self._reporting = target, reporting
        self._outcomes: dict[Key, Completion | Failure] = {}
        self._faults: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was wrong with the output of the batches."""
        return tuple(self._faults)

    async def open(self) -> None:
        """Nothing to open: the answers were fetched."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:  # noqa: ARG002
        """The answer that was fetched; a failure if the request was not sent."""
        return self._outcomes.get(key_of(request)) or Failure("batch", NOT_SENT)

    async def fetch(
        self, run: Run, requests: Sequence[Request], afford: Callable[[Sequence[Request]], Decimal | None]
    ) -> list[Completion | Failure]:
        """
        The outcome of every request: batches that were sent earlier are collected, and what none of them has is sent.

        Raises:
            PriceError: What has to be sent costs too much; nothing was sent.
            TrainingError: A batch cannot be sent or collected.
            RunError: The record cannot be written.
            asyncio.CancelledError: The user interrupted; the batches go on.
        """
        if requests:
            with self._service() as service:
                await self._fetch(service, run, requests, afford)
        return [self._outcomes.get(key_of(one)) or Failure("batch", NOT_SENT) for one in requests]

    @contextmanager
    def _service(self) -> Iterator[BatchService]:
        """The batch API, through the user's client or through one that is closed at the end."""
        target = self._target
        if isinstance(target, ClientTarget):
            yield BatchService(cast("OpenAI", target.client), self.secret)
            return
        with make_client(self.base_url, self.secret or NO_KEY) as client:
            yield BatchService(client, self.secret)

    async def _fetch(
        self,
        service: BatchService,
        run: Run,
        requests: Sequence[Request],
        afford: Callable[[Sequence[Request]], Decimal | None],
    ) -> None:
        pending = self._pending(run)
        ids = {batch.nonce: set(read_ids(run.path / batch.file)) for batch in pending}
        new = [
            one for one in requests if not any(custom_id(nonce, key_of(one)) in known for nonce, known in ids.items())
        ]
        if new:
            pending += self._add(service, run, new, afford(new))
        try:
            sender = BatchSender(service, run, self._reporting.notify)
            # One that was sent earlier is looked for before another is sent.
            ended = await self._wait(service, [await sender.send(batch) for batch in pending])
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._reporting.notify(f"interrupted; {self._where(run)} Resume the run (--resume) to collect the answers.")
            raise
        for batch, found in ended:
            contents = [await self._content(service, name) for name in found.outputs]
            lines = [line for content in contents for line in content.splitlines()]
            self._collect(batch, found, lines, set(read_ids(run.path / batch.file)), requests)

    @staticmethod
    def _pending(run: Run) -> list[SentBatch]:
        return [batch for batch in run.manifest.batches if not batch.collected]

    def _add(
        self, service: BatchService, run: Run, requests: Sequence[Request], cost: Decimal | None
    ) -> list[SentBatch]:
        """Write down the batches of these requests; nothing is sent yet."""
        if earlier := _uncollected(run):
            self._reporting.notify(f"run {earlier} has a batch that was not collected: --resume would collect it")
        written = write_requests(
            requests,
            run.path,
            lambda nonce, _: f"batch-{nonce}.jsonl",
            prefix=service.prefix,
            most_bytes=service.most_bytes,
        )
        self._outcomes |= written.refused
        new = [
            SentBatch(nonce=one.nonce, api=one.api, requests=one.requests, file=one.path.name) for one in written.files
        ]
        run.update(batches=(*run.manifest.batches, *new))
        count = sum(batch.requests for batch in new)
        price = "at an unknown price" if cost is None else f"for about ${cost:.4f} at the batch price"
        what = f"{len(new)} batch{'' if len(new) == 1 else 'es'}"
        self._reporting.notify(f"sending {count:,} requests to {self.base_url} as {what}, {price}")
        return new

    def _where(self, run: Run) -> str:
        """Which batches are running, in a sentence."""
        names = [batch.batch_id for batch in self._pending(run) if batch.batch_id]
        if not names:
            return "no batch is known to run."
        return f"{', '.join(names)} {'goes' if len(names) == 1 else 'go'} on at {self.base_url}."

    async def _wait(self, service: BatchService, batches: Sequence[SentBatch]) -> list[tuple[SentBatch, ServerBatch]]:
        """Poll until all batches have ended."""
        total = sum(batch.requests for batch in batches)
        states: dict[str, ServerBatch] = {}
        wait, answered_at = FIRST_WAIT, time.monotonic()
        while True:
            for batch in batches:
                if batch.nonce in states and states[batch.nonce].has_ended:
                    continue
                try:
                    states[batch.nonce] = await in_daemon_thread(partial(service.batch, batch.batch_id))
                    answered_at = time.monotonic()
                except (NoAnswerError, RefusedError) as fault:
                    self._refuse_lost(batch, fault, time.monotonic() - answered_at)
            self._reporting.progress(sum(state.answered for state in states.values()), total)
            if len(states) == len(batches) and all(state.has_ended for state in states.values()):
                return [(batch, states[batch.nonce]) for batch in batches]
            await asyncio.sleep(wait)
            wait = min(wait * GROWTH, LONGEST_WAIT)

    @staticmethod
    def _refuse_lost(batch: SentBatch, fault: NoAnswerError | RefusedError, silent: float) -> None:
        """Give up on a server that refuses to show a batch, or that has not answered for long."""
        if isinstance(fault, RefusedError) and not fault.is_temporary:
            raise TrainingError(
                f"{batch.batch_id} cannot be collected: {fault.problem}",
                fault.where,
                "run without --resume to send the requests again",
            ) from fault
        if silent > GIVE_UP:
            hint = "the batch may still be running: collect it later, with --resume"
            raise TrainingError(f"no answer for {silent:,.0f} s: {fault.problem}", fault.where, hint) from fault

    async def _content(self, service: BatchService, name: str) -> bytes:
        return await retried(lambda: service.content(name), "the download of the answers", self._reporting.notify)

    def _collect(
        self, batch: SentBatch, found: ServerBatch, lines: list[bytes], sent: set[str], requests: Sequence[Request]
    ) -> None:
        keys = {custom_id(batch.nonce, key_of(one)): key_of(one) for one in requests}
        wanted = {name: key for name, key in keys.items() if name in sent}
        missing = _WHY_MISSING.get(found.status, "the output of the batch has no line for this request")
        read = read_answers(
            lines,
            wanted,
            known=sent - wanted.keys(),
            name=found.id,
            api=batch.api,
            missing=f"{missing}: {found.reason}" if found.reason else missing,
            secret=self.secret,
        )
        self._outcomes |= read.outcomes
        if found.status != "completed":
            self._faults.append(f"{found.id} {found.status}{found.reason and f': {found.reason}'}")
        self._faults += read.faults


def _uncollected(run: Run) -> str:
    """The id of another open run of the same plan that has a batch to collect; empty if there is none."""
    for other in RunStore(run.path.parent).readable():
        manifest = other.manifest
        is_same = manifest.plan_sha256 == run.manifest.plan_sha256 and other.id != run.id and not manifest.closed
        if is_same and any(batch.batch_id and not batch.collected for batch in manifest.batches):
            return other.id
    return ""
