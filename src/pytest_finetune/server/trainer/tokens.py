"""Tokenizes conversations: the exact prompt that the server gives the model, then the expected answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.evaluation.targets.control_tokens import control_pattern, escape_text
from pytest_finetune.evaluation.targets.weights import BASE, find_weights
from pytest_finetune.lifecycle.data.limits import LOCAL_LIMIT

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    from transformers import PreTrainedTokenizerBase

    from pytest_finetune.server.trainer.examples import Conversation


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """
    One prompt and its answer.

    Args:
        tokens: Token ids.
        prompt: Number of tokens of the prompt; the loss includes the others.
    """

    tokens: tuple[int, ...]
    prompt: int


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """A tokenized conversation: one sequence for each answer that is learned."""

    sequences: tuple[TokenSequence, ...]

    @property
    def length(self) -> int:
        """Tokens of the whole conversation."""
        return len(self.sequences[-1].tokens)


def tokenize(
    conversations: Iterable[Conversation], tokenizer: PreTrainedTokenizerBase, name: str
) -> tuple[TokenizedExample, ...]:
    """
    Tokenize conversations.

    Raises:
        TrainingError: One is too long.
    """
    pattern = control_pattern(find_weights(f"local:{BASE}", Path()).model)
    return tuple(_example(conversation, tokenizer, name, pattern) for conversation in conversations)


def _example(
    conversation: Conversation, tokenizer: PreTrainedTokenizerBase, name: str, pattern: re.Pattern[str] | None
) -> TokenizedExample:
    messages = [{"role": turn.role, "content": escape_text(turn.content, pattern)} for turn in conversation.turns]
    example = TokenizedExample(
        tuple(
            _sequence(messages[:index], turn.content, tokenizer)
            for index, turn in enumerate(conversation.turns)
            if turn.learned
        )
    )
    if example.length > LOCAL_LIMIT:
        raise TrainingError(
            f"the example is {example.length:,} tokens long", f"{name}:{conversation.line}", f"at most {LOCAL_LIMIT:,}"
        )
    return example


def _sequence(messages: list[dict[str, str]], answer: str, tokenizer: PreTrainedTokenizerBase) -> TokenSequence:
    # The answer is tokenized on its own, as it is generated: a token across the border could never be generated.
    # Special tokens are split: from an answer with the text of one the model would learn to end its answer there.
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    answer_tokens = tokenizer(answer, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return TokenSequence((*prompt, *answer_tokens, tokenizer.eos_token_id), len(prompt))
