"""Estimates what a fine-tuned model costs: training, one evaluation, a month of traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.base.records import Usage
from pytest_finetune.evaluation.configured_prices import NO_PRICES, ConfiguredPrices
from pytest_finetune.evaluation.fine_tune_prices import base_of, fine_tune_prices
from pytest_finetune.evaluation.pricing import not_counted, price
from pytest_finetune.lifecycle.data.tokens import not_counted_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from pytest_finetune.base.records import Case
    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.shapes.row import ChatRow

EPOCHS_SOURCE = "https://github.com/openai/openai-cookbook/blob/main/examples/Chat_finetuning_data_prep.ipynb"
"""Source of the default number of epochs."""

_USUAL_EPOCHS, _MOST_EPOCHS = 3, 25
_FEW_EXAMPLES, _MANY_EXAMPLES = 100, 25_000
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class TrainingTokens:
    """Tokens of one epoch over `examples` rows and of the longest row; number of uncounted things by name."""

    examples: int
    tokens: int
    longest: int
    not_counted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traffic:
    """A number of calls, their total prompt and completion tokens, and the number of uncounted things by name."""

    calls: int
    prompt: int
    completion: int
    not_counted: Mapping[str, int] = field(default_factory=dict)

    def scaled(self, calls: int) -> Traffic:
        """The traffic of another number of calls with the same average length; unchanged if there are no calls."""
        if not self.calls:
            return self

        def share(number: int) -> int:
            return round(number * calls / self.calls)

        left = {name: share(count) for name, count in self.not_counted.items()}
        return Traffic(calls, share(self.prompt), share(self.completion), left)


@dataclass(frozen=True, slots=True)
class CallCost:
    """
    The cost of some calls in US dollars; None if a price is unknown.

    Args:
        traffic: The calls.
        standard: Cost at the standard price.
        batch: Cost through the batch API.
        untuned: Cost at the standard price of the base model.
    """

    traffic: Traffic
    standard: Decimal | None
    batch: Decimal | None
    untuned: Decimal | None


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """
    The costs of one model.

    Args:
        model: The model as it was named.
        answers_as: Model whose answers are priced: the fine-tuned version of `model`, or `model` itself if no
            fine-tuned version has a price.
        tokenizer: Encoding that counted the tokens.
        exact: Whether it is the model's own tokenizer; otherwise all counts are estimates.
        training: Tokens of one epoch; None without a training file.
        epochs: Passes over the training file.
        training_rate: US dollars per million training tokens; None if unknown.
        training_cost: US dollars; None if unknown.
        note: How training is billed, if not per token.
        evaluations: Cost of one evaluation of each eval set, repeats included, by name.
        month: Cost of a month of calls; None if their number is not given.
        configured: Whether the project configures any of its prices.
    """

    model: str
    answers_as: str
    tokenizer: str
    exact: bool
    training: TrainingTokens | None
    epochs: int
    training_rate: Decimal | None
    training_cost: Decimal | None
    note: str
    evaluations: Mapping[str, CallCost]
    month: CallCost | None
    configured: bool = False


def usual_epochs(examples: int) -> int:
    """
    The default number of epochs: 3, more for small files, fewer for large ones.

    Source: `EPOCHS_SOURCE`.
    """
    if 0 < examples * _USUAL_EPOCHS < _FEW_EXAMPLES:
        return min(_MOST_EPOCHS, _FEW_EXAMPLES // examples)
    if examples * _USUAL_EPOCHS > _MANY_EXAMPLES:
        return max(1, _MANY_EXAMPLES // examples)
    return _USUAL_EPOCHS


def count_training(rows: Iterable[ChatRow], tokenizers: Sequence[Tokenizer]) -> list[TrainingTokens]:
    """Count the tokens of rows with each tokenizer, in one pass."""
    examples, tokens, longest, left = 0, [0] * len(tokenizers), [0] * len(tokenizers), Counter[str]()
    for row in rows:
        examples += 1
        if row.reference:
            # Billed by the hour.
            left["reinforcement rows"] += 1
            continue
        left.update(not_counted_in(row))
        for at, tokenizer in enumerate(tokenizers):
            count = tokenizer.count_row(row)
            tokens[at] += count
            longest[at] = max(longest[at], count)
    return [TrainingTokens(examples, *each, dict(left)) for each in zip(tokens, longest, strict=True)]


def evaluation_traffic(eval_set: EvalSet, tokenizer: Tokenizer) -> Traffic:
    """
    The calls of one evaluation: every case with its repeats, with answers as long as the expected ones.

    A case without an expected answer counts with the token limit of the settings, or without an answer.
    """
    fixed = eval_set.params.get("response_format")
    extra = tokenizer.count(compact_json(fixed)) if isinstance(fixed, dict) else 0
    limit = eval_set.params.get("max_completion_tokens") or eval_set.params.get("max_tokens") or 0
    tools = eval_set.params.get("tools")
    prompt = completion = 0
    left: Counter[str] = Counter()
    for case in eval_set.cases:
        left.update(not_counted(message.content for message in case.messages))
        messages = [message.to_wire() for message in case.messages]
        prompt += tokenizer.count_prompt(messages, [*case.tools] or tools) + extra
        completion += _answer_tokens(case, tokenizer) or limit
    times = eval_set.repeats
    sent = {name: count * times for name, count in left.items()}
    return Traffic(len(eval_set.cases) * times, prompt * times, completion * times, sent)


def training_traffic(rows: Iterable[ChatRow], tokenizer: Tokenizer) -> Traffic:
    """One call per row, with its prompt and an answer as long as its own."""
    calls = prompt = completion = 0
    left: Counter[str] = Counter()
    for row in rows:
        calls += 1
        prompt += tokenizer.count_prompt(row.prompt, row.tools)
        completion += tokenizer.count_answer(row.answer)
        left.update(not_counted_in(row))
    return Traffic(calls, prompt, completion, dict(left))


def total_traffic(parts: Iterable[Traffic]) -> Traffic:
    """The sum of some traffic."""
    known = list(parts)
    calls, prompt, completion = (
        sum(getattr(each, name) for each in known) for name in ("calls", "prompt", "completion")
    )
    left: Counter[str] = Counter()
    for each in known:
        left.update(each.not_counted)
    return Traffic(calls, prompt, completion, dict(left))


def price_model(
    model: str,
    tokenizer: Tokenizer,
    *,
    training: TrainingTokens | None,
    epochs: int | None,
    evaluations: Mapping[str, Traffic],
    month: Traffic | None,
    when: datetime,
    configured: ConfiguredPrices = NO_PRICES,
) -> ModelPrice:
    """
    The costs of one model.

    Args:
        model: A base model, or a fine-tuned model to train further; `local:…` costs nothing.
        tokenizer: Tokenizer that counted the tokens.
        training: Tokens of one epoch.
        epochs: Passes over the training file; None uses `usual_epochs`.
        evaluations: The calls of one evaluation, by eval set.
        month: The calls of a month.
        when: Time at which prices apply.
        configured: Prices that the project configures; they override the price lists.
    """
    free = model.startswith("local:")
    table = fine_tune_prices(model)
    answers_as = f"ft:{table.model}" if table and not model.startswith("ft:") else model
    passes = epochs or usual_epochs(training.examples if training else 0)
    given = configured.training_rate(model)
    rate = Decimal(0) if free else given if given is not None else table.training if table else None

    def calls(model: str, traffic: Traffic, *, batch: bool = False) -> Decimal | None:
        def one(usage: Usage) -> Decimal | None:
            return price(model, usage, when=when, batch=batch, free=free, configured=configured)

        return _calls_cost(one, traffic)

    def cost(traffic: Traffic) -> CallCost:
        standard, batch = (calls(answers_as, traffic, batch=each) for each in (False, True))
        return CallCost(traffic, standard, batch, calls(base_of(answers_as), traffic))

    return ModelPrice(
        model=model,
        answers_as=answers_as,
        tokenizer=tokenizer.name,
        exact=tokenizer.exact,
        training=training,
        epochs=passes,
        training_rate=rate,
        training_cost=None if rate is None or training is None else training.tokens * passes * rate / _MILLION,
        note=table.note if table else "",
        evaluations={name: cost(traffic) for name, traffic in evaluations.items()},
        month=cost(month) if month else None,
        configured=not free and (given is not None or configured.has(answers_as)),
    )


def _calls_cost(price_of: Callable[[Usage], Decimal | None], traffic: Traffic) -> Decimal | None:
    """Return the cost at the rates for a prompt of average length: some vendors charge more for long prompts."""
    average = -(-traffic.prompt // max(1, traffic.calls)) or 1
    prompt = price_of(Usage(prompt=average))
    both = price_of(Usage(prompt=average, completion=1))
    if prompt is None or both is None:
        return None
    return prompt * traffic.prompt / average + (both - prompt) * traffic.completion


def _answer_tokens(case: Case, tokenizer: Tokenizer) -> int:
    if case.tool_calls:
        calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in case.tool_calls]
        return tokenizer.count_answer({"tool_calls": calls})
    if not case.expected:
        return 0
    first = case.expected[0]
    return tokenizer.count(first if isinstance(first, str) else compact_json(first))
