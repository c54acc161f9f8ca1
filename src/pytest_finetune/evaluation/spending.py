"""What one model's requests cost, and the limit on it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import PriceError
from pytest_finetune.base.records import Completion, Usage
from pytest_finetune.evaluation.budget import Budget, SharedBudget
from pytest_finetune.evaluation.configured_prices import price_hint
from pytest_finetune.evaluation.pricing import estimate_cost, price

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_finetune.base.records import Request
    from pytest_finetune.evaluation.configured_prices import ConfiguredPrices
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet


class Spending:
    """
    The prices of one target and the limit on its cost.

    Args:
        target: The model under test.
        limit: US dollars; None for no limit.
        prices: What the project configures.
        batch: Its answers cost the price of batches.

    Attributes:
        budget: None if there is no limit.
    """

    def __init__(self, target: Target, limit: Decimal | None, prices: ConfiguredPrices, *, batch: bool = False) -> None:
        self._target, self._prices, self._batch = target, prices, batch
        self.budget = None if limit is None else Budget(limit)

    def price(self, request: Request, completion: Completion) -> Decimal | None:
        """US dollars that an answer costs; None if the price or the number of tokens is unknown."""
        if self._target.free:
            return Decimal(0)
        if completion.usage is None:
            return None
        tier = request.params.get("service_tier")
        target, usage = self._target, completion.usage
        return price(
            target.model,
            usage,
            base_url=target.base_url,
            service_tier=tier,
            batch=self._batch,
            configured=self._prices,
        )

    def estimate(self, request: Request) -> Decimal | None:
        """US dollars that a request will cost approximately; None if the price is unknown."""
        return estimate_cost(self._target, request, self._prices, batch=self._batch)

    def estimate_all(self, requests: Iterable[Request]) -> Decimal | None:
        """US dollars that all of the requests will cost approximately; None if a price is unknown."""
        total = Decimal(0)
        for request in requests:
            if (cost := self.estimate(request)) is None:
                return None
            total += cost
        return total

    def afford(self, requests: Sequence[Request]) -> Decimal | None:
        """
        The approximate cost of a batch, which is paid for as a whole, so it must fit before it is sent.

        Raises:
            PriceError: There is a limit, and the requests will probably cost more than is left of it.
        """
        cost = self.estimate_all(requests)
        if self.budget is None:
            return cost
        left = self.budget.limit - self.budget.spent
        if cost is None or cost > left:
            about = "an unknown amount" if cost is None else f"about ${cost:.4f} if each answer is as long as it may be"
            problem = f"the batch costs {about}, and ${left:.4f} of ${self.budget.limit} are left"
            raise PriceError(problem, "--max-cost", "raise the limit, or limit the answers: max_completion_tokens")
        return cost

    def count_paid(self, costs: Iterable[Decimal | None]) -> None:
        """Count the answers of a batch."""
        if self.budget is not None:
            self.budget = Budget(self.budget.limit, self.budget.spent + sum(filter(None, costs), Decimal(0)))

    def refuse_unknown_price(self, eval_sets: Sequence[EvalSet]) -> None:
        """
        A limit needs a price.

        Raises:
            PriceError: There is a limit and the model's price is unknown.
        """
        any_answer = Completion("", usage=Usage(prompt=1, completion=1))
        first = (_any_request(eval_set, self._target.model) for eval_set in eval_sets)
        if self.budget and any(self.price(request, any_answer) is None for request in first):
            model, server = self._target.model, self._target.base_url or "no server"
            what = "batch price" if self._batch else "price"
            problem = f"the {what} of {model} at {server} is unknown, so the limit cannot be enforced"
            raise PriceError(problem, "--max-cost", price_hint(model, batch=self._batch))

    def count_earlier(self, run: Run, eval_sets: Sequence[EvalSet]) -> None:
        """
        Count what a resumed run has cost, requests that are sent again included.

        Raises:
            PriceError: There is a limit and that cost is unknown.
        """
        if self.budget is None:
            return
        total = Decimal(0)
        # A price may have become known since. It depends on the settings of the set, not on the case.
        requests = {eval_set.name: _any_request(eval_set, self._target.model) for eval_set in eval_sets}
        for sample in run.every_sample():
            cost = sample.total_cost
            if sample.cost is None and sample.completion:
                paid = self.price(requests[sample.eval_set], sample.completion)
                cost = replace(sample, cost=paid).total_cost
            if cost is None:
                problem = "the run has answers whose cost is unknown, so the limit cannot be enforced"
                raise PriceError(problem, "--max-cost", "run without --resume, or without --max-cost")
            total += cost
        self.budget = Budget(self.budget.limit, total)

    def share(self, path: Path, *, create: bool) -> None:
        """Spend from one budget with the other processes of the session; the first one creates this file."""
        if self.budget:
            shared = SharedBudget(self.budget.limit, path, self.budget.spent)
            if create:
                shared.save()
            self.budget = shared


def _any_request(eval_set: EvalSet, model: str) -> Request:
    return eval_set.request(eval_set.cases[0], model)
