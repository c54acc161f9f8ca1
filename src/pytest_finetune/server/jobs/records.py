"""Records of jobs, events, checkpoints and models, and their form in the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from pytest_finetune.server.store import StoredRecord
from pytest_finetune.server.wire import Body

ORGANIZATION = "local"
BASE_LEARNING_RATE = 1e-3
"""The learning rate at a multiplier of 1."""

JobStatus = Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
ENDED: frozenset[JobStatus] = frozenset({"succeeded", "failed", "cancelled"})

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]
Auto = Literal["auto"]


class JobHyperparameters(Body):
    """Hyperparameters as requested, or as chosen from the file; `auto` leaves the choice to the server."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = "auto"

    def chosen(self, examples: int) -> JobHyperparameters:
        """The hyperparameters with each `auto` replaced, for a file with this number of examples."""
        epochs = 4 if examples < 100 else 3 if examples <= 1000 else 2  # noqa: PLR2004 - the guide's own steps
        # At least twenty steps per epoch, and no larger than the batches that the learning rate was tested with.
        batch = max(1, min(16, examples // 20))
        return JobHyperparameters(
            n_epochs=epochs if self.n_epochs == "auto" else self.n_epochs,
            batch_size=batch if self.batch_size == "auto" else self.batch_size,
            learning_rate_multiplier=1.0 if self.learning_rate_multiplier == "auto" else self.learning_rate_multiplier,
        )


class JobFault(Body):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class Job(StoredRecord):
    """One fine-tuning job; `offset` is how far its progress file has been read."""

    model: str
    training_file: str
    validation_file: str | None
    hyperparameters: JobHyperparameters
    suffix: str | None
    seed: int
    metadata: Metadata | None
    status: JobStatus = "validating_files"
    error: JobFault | None = None
    fine_tuned_model: str | None = None
    finished_at: int | None = None
    estimated_finish: int | None = None
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()
    offset: int = 0
    steps: int = 0
    tokens: int = 0

    def to_wire(self) -> dict[str, Any]:
        """The job object of the API."""
        hyperparameters = self.hyperparameters.model_dump()
        shown = self.model_dump(exclude={"suffix", "offset", "steps", "tokens", "hyperparameters"}, mode="json")
        return {
            "object": "fine_tuning.job",
            **shown,
            "organization_id": ORGANIZATION,
            "hyperparameters": hyperparameters,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "user_provided_suffix": self.suffix,
            "integrations": [],
        }

    def model_name(self) -> str:
        """The id of its model: base model, organization, suffix, and the last letters of the job's id."""
        return f"ft:{self.model}:{ORGANIZATION}:{self.suffix or ''}:{self.id[-8:]}"


class JobEvent(StoredRecord):
    """An event of a job."""

    level: Literal["info", "warn", "error"] = "info"
    message: str
    type: Literal["message", "metrics"] = "message"
    data: dict[str, Any] = Field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """The event object of the API."""
        return {"object": "fine_tuning.job.event", **self.model_dump()}


class JobCheckpoint(StoredRecord):
    """A checkpoint: the adapter after an epoch."""

    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, float | int]

    def to_wire(self) -> dict[str, Any]:
        """The checkpoint object of the API."""
        return {"object": "fine_tuning.job.checkpoint", **self.model_dump()}


class TunedModel(StoredRecord):
    """A fine-tuned model; its adapter is `file` in the folder of models."""

    file: str

    def to_wire(self) -> dict[str, Any]:
        """The model object of the API."""
        return {"id": self.id, "object": "model", "created": self.created_at, "owned_by": ORGANIZATION}
