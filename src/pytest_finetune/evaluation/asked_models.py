"""The models that scorers ask about answers, such as judges: one engine each, within the evaluation's budget."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import PriceError, ScorerError, TargetError
from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.base.records import Completion, Failure, Reply, Request, Usage
from pytest_finetune.evaluation.configured_prices import price_hint
from pytest_finetune.evaluation.engine import Engine
from pytest_finetune.evaluation.plan import target_info
from pytest_finetune.evaluation.spending import Spending
from pytest_finetune.verdicts.evalset.asking_scorer import AskingScorer, request_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.budget import Budget
    from pytest_finetune.evaluation.configured_prices import ConfiguredPrices
    from pytest_finetune.evaluation.engine import Limits
    from pytest_finetune.evaluation.plan import Key, Planned
    from pytest_finetune.evaluation.runs import EvalSetPlan, TargetInfo
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.evalset.asking_scorer import AskedModel
    from pytest_finetune.verdicts.metrics.calibration import Calibration

    MakeAsked = Callable[[AskedModel, str], Target]
    """Makes the target of an asked model that an eval set, given by its name, names; may raise TargetError."""


class AskedModels:
    """
    The models that the scorers of some eval sets ask.

    Args:
        eval_sets: Those of the evaluation.
        limits: Deadline of each request.
        prices: What the project configures.
        make: Makes a target; None if no model can be asked, which is an error of every sample that would have to.
        recorded: Replies on record for a sample, which are taken for equal requests; None if none are.

    Attributes:
        baseline_answers: What scorers that compare are given.

    Raises:
        TargetError: A model cannot be asked, and no replies are on record.
    """

    def __init__(
        self,
        eval_sets: Iterable[EvalSet],
        limits: Limits,
        prices: ConfiguredPrices,
        *,
        make: MakeAsked | None,
        recorded: Callable[[Key], Sequence[Reply]] | None = None,
    ) -> None:
        self._limits, self._recorded = limits, recorded
        self.baseline_answers: dict[Key, Completion] = {}
        self._made: dict[AskedModel, AskedTarget | Failure] = {}
        for eval_set in eval_sets:
            for scorer in eval_set.asking.values():
                if scorer.asks not in self._made:
                    self._made[scorer.asks] = self._make(scorer.asks, eval_set, prices, make)

    def _make(
        self, asked: AskedModel, eval_set: EvalSet, prices: ConfiguredPrices, make: MakeAsked | None
    ) -> AskedTarget | Failure:
        if make is None:
            return Failure("target", f"nothing can ask {asked.spec} here", fatal=True)
        try:
            return AskedTarget(make(asked, eval_set.name), self._limits, prices)
        except TargetError as error:
            # The replies on record need neither key nor server.
            if self._recorded is None:
                raise
            return Failure("target", "; ".join(part for part in error.args if part), fatal=True)

    def infos(self, eval_set: EvalSet) -> dict[str, TargetInfo]:
        """The models that the set's scorers ask, by the scorer's name, without those that cannot be asked."""
        made = {name: self._made[scorer.asks] for name, scorer in eval_set.asking.items()}
        return {name: target_info(one.target) for name, one in made.items() if isinstance(one, AskedTarget)}

    def with_opponent(self, plan: EvalSetPlan, eval_set: EvalSet) -> EvalSetPlan:
        """The plan with a hash of the baseline's answers, if the scorer compares with them."""
        if not isinstance(eval_set.scorer, AskingScorer) or not eval_set.scorer.compares:
            return plan
        answers = [[*key, one.text] for key, one in sorted(self.baseline_answers.items()) if key[0] == eval_set.name]
        digest = sha256(canonical_json(answers).encode("utf-8", "surrogatepass")).hexdigest()
        return plan.model_copy(update={"opponent_sha256": digest})

    @property
    def stopped(self) -> Failure | None:
        """Why a model can be asked no more; None while all can."""
        for spec, made in self._made.items():
            if isinstance(made, AskedTarget) and made.stopped is not None:
                failure = made.stopped
                return (
                    failure if failure.kind == "budget" else replace(failure, message=f"{spec.spec}: {failure.message}")
                )
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the targets warn of."""
        made = [one.target for one in self._made.values() if isinstance(one, AskedTarget)]
        return tuple(text for target in made for text in getattr(target, "warnings", ()))

    def refuse_unknown_price(self) -> None:
        """
        A limit needs prices.

        Raises:
            PriceError: There is a limit, and the price of a model is unknown.
        """
        for made in self._made.values():
            if isinstance(made, AskedTarget):
                made.refuse_unknown_price()

    async def ask(self, planned: Planned, completion: Completion, budget: Budget | None) -> tuple[Reply, ...]:
        """The replies to all questions of all scorers about an answer, up to the first that failed."""
        replies: list[Reply] = []
        for name, scorer in planned.eval_set.asking.items():
            replies += await self._ask(name, scorer, planned, completion, budget)
            if replies and replies[-1].failure is not None:
                break
        return tuple(replies)

    async def _ask(
        self, name: str, scorer: AskingScorer, planned: Planned, completion: Completion, budget: Budget | None
    ) -> list[Reply]:
        made = self._made[scorer.asks]
        model = scorer.asks.spec if isinstance(made, Failure) else made.target.model
        replies: list[Reply] = []
        known = {each.request_sha256: each for each in (self._recorded(planned.key) if self._recorded else ())}
        case = planned.eval_set.others[name].part.case(planned.case) if name else planned.case
        try:
            questions = scorer.questions(case, completion, model, self.baseline_answers.get(planned.key))
        except ScorerError as error:
            return [Reply("", failure=Failure("scorer", error.problem), cost=Decimal(0), scorer=name)]
        for request in questions:
            digest = request_sha256(request)
            if (reply := known.get(digest)) and reply.completion is not None:
                replies.append(replace(reply, scorer=name))
                continue
            outcome, cost = (made, Decimal(0)) if isinstance(made, Failure) else await made.ask(request, budget)
            if isinstance(outcome, Failure):
                replies.append(Reply(digest, failure=outcome, cost=cost, scorer=name))
                break
            replies.append(Reply(digest, scorer.received(outcome, model), cost=cost, scorer=name))
        return replies

    async def close(self) -> None:
        """Close the targets that were opened."""
        for made in self._made.values():
            if isinstance(made, AskedTarget):
                await made.close()


class AskedTarget:
    """
    One asked model, opened with the first question.

    Args:
        target: The model.
        limits: Deadline of each request; whether the cost is limited.
        prices: What the project configures.
    """

    def __init__(self, target: Target, limits: Limits, prices: ConfiguredPrices) -> None:
        self.target = target
        self._spending = Spending(target, None, prices)
        self._limits = limits
        self._engine: Engine[None, None] | None = None
        self._opening: asyncio.Lock | None = None
        self._unopened: Failure | None = None

    def refuse_unknown_price(self) -> None:
        """
        A limit needs a price.

        Raises:
            PriceError: There is a limit, and the price is unknown.
        """
        any_answer = Completion("", usage=Usage(prompt=1, completion=1))
        target = self.target
        if self._limits.max_cost is not None and self._spending.price(Request(target.model, ()), any_answer) is None:
            problem = f"the price of {target.model} at {target.base_url or 'no server'} is unknown"
            hint = price_hint(target.model)
            raise PriceError(f"{problem}, so the limit cannot be enforced", "--max-cost", hint)

    @property
    def stopped(self) -> Failure | None:
        """Why it can be asked no more; None while it can."""
        return self._unopened or (self._engine.stopped if self._engine else None)

    async def ask(self, request: Request, budget: Budget | None) -> tuple[Completion | Failure, Decimal | None]:
        """One request: the outcome and its cost in US dollars; nothing is sent once it has stopped."""
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if self._engine is None and self._unopened is None:
                await self._open(budget)
        if self._engine is None:
            return self._unopened or Failure("target", "closed", fatal=True), Decimal(0)
        return await self._engine.ask(request)

    async def _open(self, budget: Budget | None) -> None:
        try:
            await self.target.open()
        except TargetError as error:
            self._unopened = Failure("target", "; ".join(part for part in error.args if part), fatal=True)
            return
        self._engine = Engine(self.target, self._limits, price=self._spending.price, budget=budget)

    async def close(self) -> None:
        """Close the target if it was opened."""
        engine, self._engine, self._opening = self._engine, None, None
        if engine is not None:
            await self.target.close()


def checked(
    calibration: Calibration, asked: TargetInfo | None, samples: Iterable[Sample], scorer: str = ""
) -> Calibration:
    """
    The calibration, with a problem if it is that of another model or server than the judge of these samples.

    Args:
        calibration: That of the judge.
        asked: What is asked now.
        samples: With the replies on record.
        scorer: The name of the judge among the scorers; empty for the one that decides.
    """
    if calibration.fault:
        return calibration
    if asked is not None and (asked.model, asked.base_url) != (calibration.model, calibration.base_url):
        before = f"{calibration.model} at {calibration.base_url or 'no server'}"
        problem = f"the judge is {asked.model} at {asked.base_url or 'no server'}, and {before} was calibrated"
        return replace(calibration, problem=problem)
    replies = [reply for sample in samples for reply in sample.replies if reply.scorer == scorer]
    names = {reply.completion.model for reply in replies if reply.completion}
    if others := sorted(names - set(calibration.answered_by)):
        problem = f"the judge answered as {others[0] or 'an unnamed model'}, which was not calibrated"
        return replace(calibration, problem=problem)
    return calibration
