"""Questions in, answers out as they come: many in flight, bounded in number, time and money, stopped at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pytest_finetune.base.records import Completion, Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.targets import Target

ALIKE = 10
"""Equal refusals in a row after which no more is asked: what the server says of one request, it says of all."""

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Question(Generic[K]):
    """A request under the asker's own key."""

    key: K
    request: Request


@dataclass(frozen=True, slots=True)
class Answer(Generic[K]):
    """What came back for a key, and what it cost in US dollars (None: the price is unknown)."""

    key: K
    outcome: Completion | Failure
    cost: Decimal | None


class Questions(Protocol[K]):
    """Where questions come from; `next` may wait, and is called by many askers at once."""

    async def next(self) -> Question[K] | None:
        """The next question, or None when there will be no more."""

    def close(self) -> None:
        """Let every `next`, waiting ones too, return None from now on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a run may use.

    Args:
        concurrency: Questions in flight, at least 1.
        deadline: Seconds for one sample, all tries together.
        max_cost: US dollars after which nothing new is asked; None for no bound.
    """

    concurrency: int = 32
    deadline: float = 120.0
    max_cost: Decimal | None = None


class Budget:
    """
    Money spent and promised: a question is asked only when it, and all in flight, still fit.

    What a call in flight will cost is not known, so each is taken to cost what the dearest so far did. The first
    calls go out alone until one has come back.
    """

    def __init__(self, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self._dearest: Decimal | None = None
        self._in_flight = 0
        self._settled = asyncio.Event()

    async def reserve(self) -> bool:
        """Make room for one more call; False when the money is used up."""
        if self.limit is None:
            return True
        while self._dearest is None and self._in_flight:
            self._settled.clear()
            await self._settled.wait()
        if self.spent + (self._dearest or 0) * (self._in_flight + 1) > self.limit or self.spent >= self.limit:
            return False
        self._in_flight += 1
        return True

    def settle(self, cost: Decimal | None) -> None:
        """Book what a call has cost."""
        if cost is not None:
            self.spent += cost
        if self.limit is None:
            return
        self._in_flight -= 1
        if cost is not None:
            self._dearest = max(cost, self._dearest or Decimal(0))
        self._settled.set()


class Engine(Generic[K, R]):
    """
    Asks one target. `stopped` tells why it gave up before the questions ended: a fatal answer, or the money.

    Args:
        target: An opened target.
        limits: What the run may use.
        price: What a completion cost in US dollars, None when unknown.
        then: Turns an answer into what the reader wants, while other questions are in flight.
    """

    def __init__(
        self,
        target: Target,
        limits: Limits,
        *,
        price: Callable[[Request, Completion], Decimal | None],
        then: Callable[[Answer[K]], Awaitable[R]],
    ) -> None:
        self.target, self.limits = target, limits
        self._price, self._then = price, then
        self.budget = Budget(limits.max_cost)
        self.stopped: Failure | None = None
        self._refusal = ""
        self._refused = 0

    async def stream(self, questions: Questions[K]) -> AsyncIterator[R]:
        """
        Answers in the order they come.

        At most `concurrency` are unread at any time beside those in flight, so a slow reader slows the asking.
        Leaving the stream early, and a fatal answer, cancel what is in flight; when the money is used up, what is
        in flight, being paid for, is waited for.
        """
        ready: asyncio.Queue[R | None] = asyncio.Queue(self.limits.concurrency)
        askers = [asyncio.create_task(self._ask_all(questions, ready)) for _ in range(self.limits.concurrency)]
        end = asyncio.create_task(_announce_end(askers, ready))
        try:
            while (result := await ready.get()) is not None:
                yield result
            for asker in askers:
                if asker.done():
                    # A crash in an asker is a bug, and belongs to the reader.
                    asker.result()
        finally:
            for task in (*askers, end):
                task.cancel()
            await asyncio.gather(*askers, end, return_exceptions=True)

    async def _ask_all(self, questions: Questions[K], ready: asyncio.Queue[R | None]) -> None:
        while (question := await questions.next()) is not None and self.stopped is None:
            if not await self.budget.reserve():
                self._stop(Failure("budget", f"--max-cost {self.limits.max_cost} is used up", fatal=True))
                questions.close()
                return
            outcome = await self.target.ask(question.request, self.limits.deadline)
            cost = self._book(question.request, outcome)
            outcome = self._noted(outcome)
            fatal = isinstance(outcome, Failure) and outcome.fatal
            if fatal and isinstance(outcome, Failure):
                self._stop(outcome)
                questions.close()
            await ready.put(await self._then(Answer(question.key, outcome, cost)))
            if fatal:
                await ready.put(None)

    def _noted(self, outcome: Completion | Failure) -> Completion | Failure:
        """The outcome; fatal when it is one of many equal refusals with no answer between them."""
        if isinstance(outcome, Completion) or outcome.kind not in ("bad_request", "rate_limit"):
            self._refused = 0
            return outcome
        self._refused = self._refused + 1 if outcome.message == self._refusal else 1
        self._refusal = outcome.message
        if self._refused < ALIKE:
            return outcome
        return replace(outcome, message=f"{outcome.message} ({self._refused} times in a row)", fatal=True)

    def _book(self, request: Request, outcome: Completion | Failure) -> Decimal | None:
        if isinstance(outcome, Failure) or outcome.from_cache:
            cost: Decimal | None = Decimal(0)
        else:
            cost = self._price(request, outcome)
        self.budget.settle(cost)
        if cost is None and self.limits.max_cost is not None:
            self._stop(Failure("budget", "the server reports no tokens, so --max-cost cannot be kept", fatal=True))
        return cost

    def _stop(self, reason: Failure) -> None:
        if self.stopped is None:
            self.stopped = reason


async def _announce_end(askers: list[asyncio.Task[None]], ready: asyncio.Queue[R | None]) -> None:
    await asyncio.wait(askers, return_when=asyncio.FIRST_EXCEPTION)
    await ready.put(None)
