"""The requests of an evaluation whose target is sent all of them at once: sent once, collected once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.records import Completion
from pytest_finetune.evaluation.targets import BatchingTarget

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from pytest_finetune.evaluation.plan import Key, Planned
    from pytest_finetune.evaluation.runs import Run
    from pytest_finetune.evaluation.spending import Spending
    from pytest_finetune.evaluation.targets import Target


class BatchedRequests:
    """
    Whether, and how far, the requests of a run are sent as batches.

    Args:
        target: The model under test; any that is no `BatchingTarget` has no batches.
    """

    def __init__(self, target: Target) -> None:
        self._target = target if isinstance(target, BatchingTarget) else None
        self._model = target.model
        self._fetched: list[Key] = []

    @property
    def are_used(self) -> bool:
        """Whether the target is sent all requests at once."""
        return self._target is not None

    def refuse_uncollected(self, run: Run) -> None:
        """
        Refuse to send the requests of a batch a second time, one by one.

        Raises:
            RunError: The run has a batch that is not collected, and the target sends no batches.
        """
        if self._target is None and any(not batch.collected for batch in run.manifest.batches):
            problem = "some requests of this run were sent as a batch that has not been collected"
            raise RunError(problem, str(run.path), "add --batch to collect it, or run without --resume")

    async def fetch(self, run: Run, planned: Sequence[Planned], spending: Spending) -> None:
        """
        Have the answers to these samples ready; nothing to do for a closed run.

        Raises:
            FinetuneError: The batches cannot be sent or collected; `--resume` continues.
        """
        if self._target is None or run.manifest.closed:
            return
        requests = [one.request(self._model).request for one in planned]
        try:
            outcomes = await self._target.fetch(run, requests, spending.afford)
        except BaseException:
            run.release()
            raise
        self._fetched = [one.key for one in planned]
        answered = ((sent, one) for sent, one in zip(requests, outcomes, strict=True) if isinstance(one, Completion))
        spending.count_paid(spending.price(sent, one) for sent, one in answered)

    def mark_collected(self, run: Run, recorded: Container[Key], eval_sets: Container[str]) -> None:
        """
        Note that the batches are collected, if all their answers are on record.

        Args:
            run: The run.
            recorded: Keys of the samples on record.
            eval_sets: Names of the planned eval sets; the cases of the user's own tests are not on record.

        Raises:
            RunError: The record cannot be written.
        """
        if self._fetched and all(key in recorded for key in self._fetched if key[0] in eval_sets):
            batches = run.manifest.batches
            run.update(batches=tuple(batch.model_copy(update={"collected": True}) for batch in batches))
            for batch in batches:
                (run.path / batch.file).unlink(missing_ok=True)
