"""Sends requests to one target concurrently, and stops at a fatal failure or when the budget is spent."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.evaluation.targets.refused_parameters import with_remedy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.budget import Budget
    from pytest_finetune.evaluation.targets import Target

EQUAL_REFUSALS = 10
"""Equal refusals, without an answer in between, that stop the evaluation: all other requests would be refused too."""

FAILURES = 50
"""Failures of any kind in a row that stop it, or twice the requests in flight if that is more."""

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class KeyedRequest(Generic[K]):
    """A request with the caller's own key."""

    key: K
    request: Request


@dataclass(frozen=True, slots=True)
class Response(Generic[K]):
    """The outcome of a request, and its cost in US dollars (None: the price is unknown)."""

    to: KeyedRequest[K]
    outcome: Completion | Failure
    cost: Decimal | None


class RequestSource(Protocol[K]):
    """Supplies requests; all workers call `next` concurrently, and it may wait."""

    async def next(self) -> KeyedRequest[K] | None:
        """The next request, or None when there will be no more."""

    def close(self) -> None:
        """Make every call of `next`, pending ones included, return None from now on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Limits of an evaluation.

    Args:
        concurrency: Requests in flight, at least 1.
        deadline: Seconds for one sample, retries included.
        max_cost: US dollars after which no new request is sent; None for no limit.
    """

    concurrency: int = 32
    deadline: float = 120.0
    max_cost: Decimal | None = None

    def __post_init__(self) -> None:
        """
        Refuse limits under which no request is sent, and those that are no numbers: nothing exceeds them.

        Raises:
            FinetuneError: One of them is out of range.
        """
        if self.concurrency < 1:
            raise FinetuneError(f"concurrency is {self.concurrency}", hint="at least 1 request is in flight")
        if not self.deadline > 0:
            raise FinetuneError(f"the deadline is {self.deadline:g}", hint="a number of seconds above 0")
        if self.max_cost is not None and not (self.max_cost.is_finite() and self.max_cost >= 0):
            raise FinetuneError(f"the most that may be spent is {self.max_cost}", hint="an amount of US dollars")


class Engine(Generic[K, R]):
    """
    Sends requests to one target.

    `stopped` holds the reason when it stops before the source is exhausted: a fatal failure, or the budget.

    Args:
        target: An opened target.
        limits: Concurrency, deadline and budget.
        price: Cost of a completion in US dollars, None when unknown.
        then: Turns a response into the result that `stream` yields, while other requests are in flight; None for an
            engine that is only used for single requests.
        budget: None for no limit on the cost.
        answered: The target has all answers already, so no failure is a reason to stop.
    """

    def __init__(
        self,
        target: Target,
        limits: Limits,
        *,
        price: Callable[[Request, Completion], Decimal | None],
        then: Callable[[Response[K]], Awaitable[R]] | None = None,
        budget: Budget | None = None,
        answered: bool = False,
    ) -> None:
        self.target, self.limits = target, limits
        self._price, self._then = price, then
        self.budget, self._answered = budget, answered
        self.stopped: Failure | None = None
        self._refused: Counter[str] = Counter()
        self._failed = 0

    async def stream(self, source: RequestSource[K]) -> AsyncIterator[R]:
        """
        Results in the order in which they arrive.

        At most `concurrency` results wait to be read, besides the requests in flight, so a slow reader slows the
        workers. Closing the stream early and a fatal failure cancel the requests in flight. When the budget is
        spent, the requests in flight are awaited, because they are paid for.
        """
        ready: asyncio.Queue[R | None] = asyncio.Queue(self.limits.concurrency)
        workers = [asyncio.create_task(self._work(source, ready)) for _ in range(self.limits.concurrency)]
        end = asyncio.create_task(_put_end(workers, ready))
        try:
            while (result := await ready.get()) is not None:
                yield result
            for worker in workers:
                if worker.done():
                    # An exception in a worker is a bug; raise it to the reader.
                    worker.result()
        finally:
            for task in (*workers, end):
                task.cancel()
            await asyncio.gather(*workers, end, return_exceptions=True)

    async def ask(self, request: Request) -> tuple[Completion | Failure, Decimal | None]:
        """One request of its own: the outcome and its cost; the reason in `stopped`, unsent, once it has stopped."""
        if self.stopped is not None or not await self._reserve():
            return self.stopped or Failure("budget", "the budget is used up", fatal=True), Decimal(0)
        return await self._ask(request)

    def _is_stopped(self) -> bool:
        return self.stopped is not None

    def stop(self, reason: Failure) -> None:
        """Send no further request; those in flight are awaited. The first reason is kept."""
        if self.stopped is None:
            self.stopped = reason

    async def _ask(self, request: Request) -> tuple[Completion | Failure, Decimal | None]:
        """Send a request that money is reserved for."""
        outcome = with_remedy(await self.target.ask(request, self.limits.deadline), request)
        cost = self._book(request, outcome)
        if not self._answered:
            outcome = self._fatal_if_repeated(outcome)
        elif isinstance(outcome, Failure):
            outcome = replace(outcome, fatal=False)
        if isinstance(outcome, Failure) and outcome.fatal:
            self.stop(outcome)
        return outcome, cost

    async def _work(self, source: RequestSource[K], ready: asyncio.Queue[R | None]) -> None:
        if self._then is None:
            raise RuntimeError("an engine without `then` has no results to stream")
        while (keyed := await source.next()) is not None and not self._is_stopped():
            if not await self._reserve():
                source.close()
                return
            outcome, cost = await self._ask(keyed.request)
            fatal = isinstance(outcome, Failure) and outcome.fatal
            if fatal:
                source.close()
            await ready.put(await self._then(Response(keyed, outcome, cost)))
            if fatal:
                # The reader leaves the stream at None, which cancels the other requests: they would fail too.
                await ready.put(None)
            elif self._is_stopped():
                source.close()

    async def _reserve(self) -> bool:
        """Reserve money for a request; False, and a reason in `stopped`, if there is none."""
        if self.budget is None:
            return True
        try:
            fits, why = await self.budget.reserve(), "is used up"
        except OSError as error:
            fits, why = False, f"cannot be kept: {error}"
        if not fits:
            self.stop(Failure("budget", f"--max-cost {self.budget.limit} {why}", fatal=True))
        return fits

    def _fatal_if_repeated(self, outcome: Completion | Failure) -> Completion | Failure:
        """The outcome, made fatal if nothing but failures has come for long."""
        if isinstance(outcome, Completion):
            self._refused.clear()
            self._failed = 0
            return outcome
        self._failed += 1
        times, most = self._failed, max(FAILURES, 2 * self.limits.concurrency)
        if outcome.kind in ("bad_request", "rate_limit"):
            # Messages may contain the id of the request, or a time.
            message = re.sub(r"\S*\d\S*", "", outcome.message)
            self._refused[message] += 1
            if self._refused[message] >= EQUAL_REFUSALS:
                times, most = self._refused[message], EQUAL_REFUSALS
        if times < most:
            return outcome
        return replace(outcome, message=f"{outcome.message} ({times} times in a row)", fatal=True)

    def _book(self, request: Request, outcome: Completion | Failure) -> Decimal | None:
        if isinstance(outcome, Failure) or outcome.from_cache:
            cost: Decimal | None = Decimal(0)
        else:
            cost = self._price(request, outcome)
        if self.budget is None:
            return cost
        # If a shared balance is lost, the next `reserve` stops the evaluation.
        with suppress(OSError):
            self.budget.settle(cost)
        if cost is None:
            self.stop(Failure("budget", "the server reports no tokens, so --max-cost cannot be kept", fatal=True))
        return cost


async def _put_end(workers: list[asyncio.Task[None]], ready: asyncio.Queue[R | None]) -> None:
    """Mark the end of the results once all workers are done, or one has raised."""
    await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
    await ready.put(None)
