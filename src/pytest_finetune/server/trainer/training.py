"""The training loop: steps over shuffled batches, a checkpoint after each epoch, resumable after any step."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_finetune.base.errors import TrainingError
from pytest_finetune.server.trainer.adapter import add_adapter, write_adapter
from pytest_finetune.server.trainer.base import choose_precision, load_base
from pytest_finetune.server.trainer.examples import read_examples
from pytest_finetune.server.trainer.job import PROGRESS, STATE, checkpoint_path, schedule
from pytest_finetune.server.trainer.learning import Learner
from pytest_finetune.server.trainer.progress import Checkpoint, ProgressFile, Started, Stepped, Stopped
from pytest_finetune.server.trainer.state import restore_state, save_state
from pytest_finetune.server.trainer.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from pytest_finetune.server.trainer.job import TrainingJob
    from pytest_finetune.server.trainer.learning import Measured
    from pytest_finetune.server.trainer.parent_link import RequestedStop
    from pytest_finetune.server.trainer.tokens import TokenizedExample

_MOST_GRADIENT = 1.0
"""Norm to which larger gradients are clipped."""


class Training:
    """
    A training in a folder; it resumes from its saved state if there is one.

    Args:
        folder: The job's folder; checkpoints, state and progress are written here.
        job: The job.

    Raises:
        TrainingError: A file cannot be trained on, or the saved state belongs to another job.
        TargetError: The base model's weights are not installed.
    """

    def __init__(self, folder: Path, job: TrainingJob) -> None:
        torch.set_num_threads(job.threads)
        self._folder, self._job = folder, job
        base = load_base(job.weights_cache)
        self._train = _load(job.training_file, base.tokenizer)
        self._valid = _load(job.validation_file, base.tokenizer) if job.validation_file else ()
        self._precision = choose_precision(job)
        self._parameters = add_adapter(base.model, job, self._precision)
        self._optimizer = torch.optim.AdamW(self._parameters.values(), lr=job.learning_rate, weight_decay=0.0)
        self._learner = Learner(base.model, self._precision)
        self._fingerprint = job.model_dump_json(exclude={"weights_cache", "save_every"})
        self._steps_of_epoch = math.ceil(len(self._train) / job.batch_size)
        self.steps = self._steps_of_epoch * job.epochs
        self.step = restore_state(folder / STATE, self._fingerprint, self._parameters, self._optimizer)
        self._saved_at = time.monotonic()

    def run(self, progress: ProgressFile, requested_stop: Callable[[], RequestedStop | None]) -> None:
        """
        Train to the end, or until the server stops the training.

        Args:
            progress: Receives the events.
            requested_stop: Called before each step; `paused` saves the state and stops, `cancelled` stops.
        """
        progress.append(self._started())
        while self.step < self.steps:
            if stop := requested_stop():
                if stop == "paused":
                    self._save()
                progress.append(Stopped(kind=stop, step=self.step))
                return
            progress.append(self._do_step())
            if self.step % self._steps_of_epoch == 0:
                progress.append(self._checkpoint())
                # Saved after the event: if the process is killed in between, the step is repeated and no event is lost.
                self._save()
            elif time.monotonic() - self._saved_at > self._job.save_every:
                self._save()
        progress.append(Stopped(kind="finished", step=self.step))

    def _started(self) -> Started:
        learned = sum(len(part.tokens) - part.prompt for each in self._train for part in each.sequences)
        return Started(
            step=self.step,
            steps=self.steps,
            examples=len(self._train),
            tokens=sum(each.length for each in self._train),
            learned_tokens=learned,
            precision=str(self._precision).removeprefix("torch."),
            threads=self._job.threads,
        )

    def _do_step(self) -> Stepped:
        began = time.monotonic()
        measured = self._learner.learn(self._batch(self._train, self.step, self._job.seed))
        self._check(measured)
        rate = self._job.learning_rate * schedule(self.step, self.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), _MOST_GRADIENT)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        valid = self._sample_validation()
        return Stepped(
            step=self.step,
            loss=measured.loss,
            accuracy=measured.accuracy,
            learning_rate=rate,
            seconds=round(time.monotonic() - began, 4),
            valid_loss=valid.loss if valid else None,
            valid_accuracy=valid.accuracy if valid else None,
        )

    def _check(self, measured: Measured) -> None:
        if not math.isfinite(measured.loss):
            raise TrainingError(
                f"the loss is {measured.loss} after {self.step} steps", str(self._folder), "lower the learning rate"
            )

    def _measure(self, examples: Sequence[TokenizedExample]) -> Measured:
        measured = self._learner.measure(examples)
        self._check(measured)
        return measured

    def _sample_validation(self) -> Measured | None:
        if not self._valid or (self.step % self._job.validate_every and self.step != 1):
            return None
        number = self.step // self._job.validate_every
        return self._measure(self._batch(self._valid, number, self._job.seed))

    def _checkpoint(self) -> Checkpoint:
        epoch = self.step // self._steps_of_epoch
        path = checkpoint_path(self._folder, epoch)
        write_adapter(path, self._parameters, self._job.alpha, path.stem)
        last = self._measure(self._batch(self._train, self.step - 1, self._job.seed))
        valid = self._measure(self._valid) if self._valid else None
        return Checkpoint(
            step=self.step,
            epoch=epoch,
            file=path.name,
            loss=last.loss,
            accuracy=last.accuracy,
            valid_loss=valid.loss if valid else None,
            valid_accuracy=valid.accuracy if valid else None,
        )

    def _batch(self, examples: Sequence[TokenizedExample], number: int, seed: int) -> Sequence[TokenizedExample]:
        """The batch of a step, which depends only on its number; each epoch has its own order."""
        size = self._job.batch_size
        epoch, place = divmod(number, math.ceil(len(examples) / size))
        order = np.random.default_rng((seed, epoch)).permutation(len(examples))
        return [examples[index] for index in order[place * size : (place + 1) * size]]

    def _save(self) -> None:
        save_state(self._folder / STATE, self._fingerprint, self.step, self._parameters, self._optimizer)
        self._saved_at = time.monotonic()


def train(folder: Path, job: TrainingJob, requested_stop: Callable[[], RequestedStop | None]) -> bool:
    """
    Run or resume the job of a folder.

    Returns:
        False if it failed; the reason is in the progress file.
    """
    progress = ProgressFile(folder / PROGRESS)
    training: Training | None = None
    try:
        training = Training(folder, job)
        training.run(progress, requested_stop)
    except TrainingError as error:
        progress.append(
            Stopped(
                kind="failed", step=training.step if training else 0, problem=str(error).replace("\n  hint: ", "; ")
            )
        )
        return False
    return True


def _load(path: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[TokenizedExample, ...]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"the examples cannot be read: {error.strerror}", str(path)) from None
    conversations, faults = read_examples(data, path.name)
    if faults.found:
        raise TrainingError(str(faults.found[0]), hint=f"{len(faults.found)} faults in all" if faults.found[1:] else "")
    return tokenize(conversations, tokenizer, path.name)
