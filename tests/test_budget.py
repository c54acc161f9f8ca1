"""A limit is kept by all who spend from it: tasks of one process, and processes that share a file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal

import pytest

from pytest_finetune.evaluation.budget import Budget, SharedBudget

ONE, TEN = Decimal(1), Decimal(10)

SPEND = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from pytest_finetune.evaluation.budget import SharedBudget

budget = SharedBudget(Decimal(100), Path(sys.argv[1]))

async def spend():
    done = 0
    while done < 90 and await budget.reserve():
        budget.settle(Decimal(1))
        done += 1
    return done

print(asyncio.run(spend()))
"""


def spend(budget, calls, *, cost=ONE):
    async def run():
        done = 0
        while done < calls and await budget.reserve():
            budget.settle(cost)
            done += 1
        return done

    return asyncio.run(run())


@pytest.fixture(params=["one process", "several"])
def budgets(request, tmp_path):
    """Two budgets with ten dollars together, of which some are spent."""

    def make(spent=Decimal(0)):
        if request.param == "one process":
            return [Budget(TEN, spent)] * 2
        path = tmp_path / "spent.json"
        first = SharedBudget(TEN, path, spent)
        first.save()
        return [first, SharedBudget(TEN, path)]

    return make


def test_a_budget_spends_exactly_its_limit(budgets):
    assert spend(budgets()[0], 100) == 10


def test_what_was_spent_before_counts(budgets):
    first, second = budgets(Decimal("3.5"))
    assert spend(second, 2) == 2
    assert spend(first, 100) == 4


def test_nothing_is_sent_if_the_limit_was_reached_before(budgets):
    assert [spend(each, 1) for each in budgets(TEN)] == [0, 0]


def test_two_spend_from_one_budget(budgets):
    first, second = budgets()
    assert (spend(first, 7), spend(second, 100), spend(first, 1)) == (7, 3, 0)


def test_answers_without_cost_never_end_a_budget(budgets):
    assert spend(budgets()[0], 50, cost=Decimal(0)) == 50


def test_requests_in_flight_count_as_much_as_the_most_expensive_one(budgets):
    first, second = budgets()

    async def run():
        assert await first.reserve()
        first.settle(Decimal(2))
        for budget in (first, second, first, second):
            assert await budget.reserve()
        assert not await first.reserve()
        assert not await second.reserve()
        for budget in (first, second, first, second):
            budget.settle(ONE)
        assert [await first.reserve(), await second.reserve(), await first.reserve()] == [True, True, False]

    asyncio.run(run())


def test_until_a_cost_is_known_a_process_sends_one_request_at_a_time(budgets):
    budget, _ = budgets()

    async def run():
        assert await budget.reserve()
        second = asyncio.create_task(budget.reserve())
        await asyncio.sleep(0)
        assert not second.done()
        budget.settle(ONE)
        assert await second

    asyncio.run(run())


@pytest.mark.slow
def test_processes_never_spend_more_than_the_limit_together(tmp_path):
    command = [sys.executable, "-c", SPEND, str(tmp_path / "spent.json")]
    each = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate(timeout=120)[0]) for process in each) == 100


def test_without_the_shared_folder_nothing_can_be_reserved(tmp_path):
    with pytest.raises(FileNotFoundError, match="spent"):
        asyncio.run(SharedBudget(TEN, tmp_path / "gone" / "spent.json").reserve())
    assert not (tmp_path / "gone").exists()
