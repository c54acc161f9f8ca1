"""`replay:RUN`: the answers of a recorded run, so that they can be scored again without requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.evaluation.runs import prompt_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pytest_finetune.base.records import Reply, Request
    from pytest_finetune.evaluation.runs import Run


class ReplayTarget:
    """Answers from a run record, each only for the request that it answered."""

    immutable = False

    def __init__(self, spec: str, run: Run) -> None:
        self.spec = spec
        self.model = run.manifest.target.model
        self.base_url = run.manifest.target.base_url
        self.identity = run.manifest.target.identity
        # Priced by its tokens, as when it was requested: a gate on the cost is about the model, not about the replay.
        self.free = run.manifest.target.spec.startswith("local:")
        self._run_id = run.id
        self._plans = {plan.name: plan for plan in run.manifest.eval_sets}
        self._samples = run.samples()

    def recorded_request(self, eval_set: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """
        The parameters that the recorded answers were requested with, and notes, as in the record.

        There are no parameters if the record has none: that they are unknown must not look like today's.
        """
        plan = self._plans.get(eval_set)
        source = f"the answers are those of run {self._run_id}"
        return (plan.request, (source, *plan.request_notes)) if plan else ({}, (source,))

    def replies(self, key: tuple[str, str, int]) -> tuple[Reply, ...]:
        """What the run's scorers were replied about an answer."""
        sample = self._samples.get(key)
        return sample.replies if sample else ()

    async def open(self) -> None:
        """Nothing to open: the record was read when the target was created."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:  # noqa: ARG002
        """The recorded answer; a request that the run did not send, or sent with another prompt, is an error."""
        sample = self._samples.get((request.eval_set, request.case_id, request.attempt))
        if sample is None:
            return Failure("target", f"run {self._run_id} has no answer to this case")
        if sample.prompt_sha256 != prompt_sha256(request):
            return Failure("target", f"run {self._run_id} sent another prompt for this case")
        if sample.completion is None:
            return sample.failure or Failure("target", f"run {self._run_id} did not request this case")
        return sample.completion
