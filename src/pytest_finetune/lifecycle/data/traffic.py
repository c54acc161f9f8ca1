"""Counts the tokens of a training, of one evaluation, and of a month of traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finetune.base.json_text import compact_json
from pytest_finetune.evaluation.pricing import not_counted
from pytest_finetune.lifecycle.data.tokens import not_counted_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_finetune.base.records import Case
    from pytest_finetune.lifecycle.data.tokens import Tokenizer
    from pytest_finetune.verdicts.evalset import EvalSet
    from pytest_finetune.verdicts.shapes.row import ChatRow


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


def _answer_tokens(case: Case, tokenizer: Tokenizer) -> int:
    if case.tool_calls:
        calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in case.tool_calls]
        return tokenizer.count_answer({"tool_calls": calls})
    if not case.expected:
        return 0
    first = case.expected[0]
    return tokenizer.count(first if isinstance(first, str) else compact_json(first))
