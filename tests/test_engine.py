from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from pytest_finetune.base.records import Completion, Failure, Message, Request, Usage
from pytest_finetune.evaluation.budget import Budget
from pytest_finetune.evaluation.engine import Engine, KeyedRequest, Limits, Response

FATAL = Failure("auth", "401", 401, fatal=True)
DOLLAR = Decimal(1)


class Listed:
    """Requests 0..n-1, each under its number."""

    def __init__(self, number):
        self.left = iter(range(number))
        self.sent = 0

    async def next(self):
        number = next(self.left, None)
        if number is None:
            return None
        self.sent += 1
        return KeyedRequest(number, Request("m", (Message("user", str(number)),)))

    def close(self):
        self.left = iter(())


class Endless(Listed):
    """Like a backlog that may still grow: after the last request it waits until it is closed."""

    def __init__(self, number):
        super().__init__(number)
        self.closed = asyncio.Event()

    async def next(self):
        question = await super().next()
        if question is None:
            await self.closed.wait()
        return question

    def close(self):
        super().close()
        self.closed.set()


class FakeTarget:
    """A target whose answer is a function of the request's number; makes time and order exact."""

    def __init__(self, answer):
        self.answer = answer
        self.in_flight = self.most = 0

    async def ask(self, request, deadline):
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            return await self.answer(int(request.messages[0].content))
        finally:
            self.in_flight -= 1


async def at_once(number):
    return Completion(str(number), usage=Usage(1, 1))


async def keep(answer):
    return answer


def engine(answer, price=lambda *_: Decimal(0), then=keep, **limits):
    limits = Limits(**limits)
    budget = Budget(limits.max_cost) if limits.max_cost else None
    return Engine(FakeTarget(answer), limits, price=price, then=then, budget=budget)


def drain(engine, questions):
    async def collect():
        return [answer async for answer in engine.stream(questions)]

    return asyncio.run(collect())


def test_every_request_is_answered_once():
    answers = drain(engine(at_once, concurrency=3), Listed(20))
    assert sorted(answer.to.key for answer in answers) == list(range(20))
    assert all(
        answer == Response(answer.to, Completion(str(answer.to.key), usage=Usage(1, 1)), 0) for answer in answers
    )
    assert all(a.to.request.messages[0].content == str(a.to.key) for a in answers)


def test_no_more_are_in_flight_than_allowed_and_no_fewer():
    async def yielding(number):
        await asyncio.sleep(0)
        return Completion("")

    tested = engine(yielding, concurrency=7)
    drain(tested, Listed(50))
    assert tested.target.most == 7


def test_a_slow_reader_slows_the_requests():
    questions = Listed(1000)
    tested = engine(at_once, concurrency=4)

    async def read_one():
        stream = tested.stream(questions)
        await anext(stream)
        for _ in range(200):
            await asyncio.sleep(0)
        seen = questions.sent
        await stream.aclose()
        return seen

    assert asyncio.run(read_one()) <= 4 * 2 + 1


def test_leaving_early_cancels_what_is_in_flight():
    cancelled = []

    async def hang(number):
        if number == 0:
            return Completion("")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    async def leave():
        stream = engine(hang, concurrency=5).stream(Listed(5))
        await anext(stream)
        await stream.aclose()

    asyncio.run(leave())
    assert sorted(cancelled) == [1, 2, 3, 4]


def test_a_fatal_answer_stops_new_requests_with_its_reason():
    async def answer(number):
        return FATAL if number == 5 else Completion("")

    tested, questions = engine(answer, concurrency=1), Endless(100)
    answers = drain(tested, questions)
    assert [answer.to.key for answer in answers] == [0, 1, 2, 3, 4, 5]
    assert tested.stopped is FATAL
    assert questions.sent == 6


def test_a_fatal_answer_does_not_wait_for_calls_that_hang():
    async def answer(number):
        if number:
            await asyncio.Event().wait()
        return FATAL

    assert [a.to.key for a in drain(engine(answer, concurrency=8), Endless(8))] == [0]


@pytest.mark.parametrize("concurrency", [1, 4, 32])
def test_max_cost_is_never_exceeded_by_calls_that_cost_alike(concurrency):
    tested = engine(at_once, price=lambda *_: DOLLAR, concurrency=concurrency, max_cost=Decimal(10))
    answers = drain(tested, Endless(1000))
    assert len(answers) == 10
    assert tested.budget.spent == 10
    assert tested.stopped.kind == "budget"


def test_calls_in_flight_are_awaited_when_the_budget_is_spent():
    async def slow(number):
        for _ in range(number):
            await asyncio.sleep(0)
        return Completion("")

    assert len(drain(engine(slow, price=lambda *_: DOLLAR, concurrency=4, max_cost=Decimal(5)), Endless(50))) == 5


def test_an_uncounted_answer_ends_a_run_whose_cost_is_bounded():
    tested = engine(at_once, price=lambda *_: None, concurrency=1, max_cost=DOLLAR)
    drain(tested, Endless(10))
    assert "--max-cost cannot be kept" in tested.stopped.message


def test_a_cached_answer_costs_nothing():
    async def cached(number):
        return Completion("", from_cache=True)

    tested = engine(cached, price=lambda *_: DOLLAR, concurrency=2, max_cost=DOLLAR)
    assert [answer.cost for answer in drain(tested, Listed(9))] == [0] * 9


def test_an_internal_error_reaches_the_reader():
    async def broken(answer):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drain(engine(at_once, then=broken, concurrency=3), Endless(9))
