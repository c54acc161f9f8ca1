"""
Time of a training step of the server: packed into a tree or padded, in bfloat16 or float32.

    python benchmarks/training.py train.jsonl --steps 5 --threads 1
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pytest_finetune.server.trainer.adapter import add_adapter
from pytest_finetune.server.trainer.base import load_base
from pytest_finetune.server.trainer.examples import read_examples
from pytest_finetune.server.trainer.job import TrainingJob
from pytest_finetune.server.trainer.learning import Learner
from pytest_finetune.server.trainer.packing import pack
from pytest_finetune.server.trainer.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_finetune.server.trainer.tokens import TokenizedExample

BATCH = 16
PAD, IGNORED = 2, -100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="examples in chat format")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights-cache", type=Path, default=Path(".finetune/server/base"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    job = TrainingJob(training_file=asked.file, threads=asked.threads, weights_cache=asked.weights_cache)
    conversations, faults = read_examples(asked.file.read_bytes(), asked.file.name)
    if faults.found:
        raise SystemExit(str(faults.found[0]))
    examples = tokenize(conversations, load_base(job.weights_cache).tokenizer, asked.file.name)
    batches = [examples[start : start + BATCH] for start in range(0, len(examples), BATCH)][: asked.steps]
    tell_sizes(batches)
    for name, precision in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        learner = Learner(prepared(job, precision), precision)
        tell(f"packed, {name}", batches, learner.learn)
    model = prepared(job, torch.float32)
    model.set_attn_implementation("sdpa")
    tell("padded, float32, loss over all positions", batches, lambda batch: learn_padded(model, batch))


def prepared(job: TrainingJob, precision: torch.dtype) -> Any:
    """A model with a new adapter."""
    model = load_base(job.weights_cache).model
    add_adapter(model, job, precision)
    return model


def tell_sizes(batches: Sequence[Sequence[TokenizedExample]]) -> None:
    """Print the number of tokens to compute, plain, padded and packed."""
    tokens = sum(example.length for batch in batches for example in batch)
    padded = sum(max(example.length for example in batch) * len(batch) for batch in batches)
    nodes = sum(len(each.tokens) for batch in batches for each in pack(batch))
    print(f"{len(batches)} batches: {tokens:,} tokens, {padded:,} with padding, {nodes:,} packed")


def tell(
    name: str, batches: Sequence[Sequence[TokenizedExample]], learn: Callable[[Sequence[TokenizedExample]], object]
) -> None:
    """Print the median seconds per step; the first step, a warm-up, is excluded."""
    taken = []
    for batch in (batches[0], *batches):
        began = time.perf_counter()
        learn(batch)
        taken.append(time.perf_counter() - began)
    print(f"{name:42} {sorted(taken[1:])[len(batches) // 2]:7.2f} s per step")


def learn_padded(model: Any, batch: Sequence[TokenizedExample]) -> None:
    """A step on padded batches, as in a plain training loop."""
    sequences = [sequence for example in batch for sequence in example.sequences]
    width = max(len(sequence.tokens) for sequence in sequences)
    tokens = torch.tensor([[*each.tokens, *[PAD] * (width - len(each.tokens))] for each in sequences])
    mask = torch.tensor([[1] * len(each.tokens) + [0] * (width - len(each.tokens)) for each in sequences])
    labels = tokens.masked_fill(mask == 0, IGNORED)
    for row, each in zip(labels, sequences, strict=True):
        row[: each.prompt] = IGNORED
    torch.autograd.backward(model(tokens, attention_mask=mask, labels=labels).loss)


if __name__ == "__main__":
    main()
