"""Runs one batch through the model: loss and accuracy over the tokens of the answers, and the adapter's gradient."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_finetune.server.trainer.packing import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import LlamaForCausalLM

    from pytest_finetune.server.trainer.packing import Pack
    from pytest_finetune.server.trainer.tokens import TokenizedExample

_HIDDEN = -1e4
"""Added to the score of a node that is not visible; with a true infinity a bfloat16 product becomes NaN."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    Loss and accuracy of a model on some examples.

    Args:
        loss: Mean cross-entropy of the answers' tokens, in nats.
        accuracy: Share of them that the model considers most likely, in [0, 1].
    """

    loss: float
    accuracy: float


class Learner:
    """
    A model that learns from batches.

    Args:
        model: The language model with its adapter.
        precision: Type of the large matrix products.
    """

    def __init__(self, model: LlamaForCausalLM, precision: torch.dtype) -> None:
        self._model, self._precision = model, precision
        self._head = model.lm_head.weight.detach().to(precision)

    def learn(self, examples: Sequence[TokenizedExample]) -> Measured:
        """Measure a batch, and add its gradient to the gradients of the parameters."""
        return self._pass(examples, learn=True)

    def measure(self, examples: Sequence[TokenizedExample]) -> Measured:
        """Measure a batch without computing gradients."""
        with torch.no_grad():
            return self._pass(examples, learn=False)

    def _pass(self, examples: Sequence[TokenizedExample], *, learn: bool) -> Measured:
        packs = list(pack(examples))
        total = sum(len(each.targets) for each in packs)
        loss, right = 0.0, 0
        for each in packs:
            logits = self._logits(each)
            targets = torch.from_numpy(each.targets)
            part = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / total
            if learn:
                torch.autograd.backward(part)
            loss += part.item()
            right += int((logits.argmax(-1) == targets).sum())
        return Measured(loss, right / total)

    def _logits(self, each: Pack) -> torch.Tensor:
        """Scores over the vocabulary, only where a token of an answer follows: the head is the widest matrix."""
        hidden_nodes = torch.from_numpy(~each.visible)
        mask = torch.zeros(hidden_nodes.shape, dtype=self._precision).masked_fill_(hidden_nodes, _HIDDEN)
        with self._mixed():
            hidden = self._model.model(
                input_ids=torch.from_numpy(each.tokens)[None],
                position_ids=torch.from_numpy(each.positions)[None],
                attention_mask=mask[None, None],
                use_cache=False,
            ).last_hidden_state[0, torch.from_numpy(each.nodes)]
        return torch.nn.functional.linear(hidden.to(self._precision), self._head).float()

    def _mixed(self) -> AbstractContextManager[object]:
        if self._precision == torch.float32:
            return nullcontext()
        mixed: AbstractContextManager[object] = torch.autocast("cpu", self._precision, cache_enabled=False)
        return mixed
