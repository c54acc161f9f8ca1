"""Turns the progress of trainings into the API's objects: events, checkpoints, models and the result file."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_finetune.base.files import copy_file
from pytest_finetune.server.ids import new_id, now
from pytest_finetune.server.jobs.records import Job, JobCheckpoint, JobEvent, TunedModel
from pytest_finetune.server.trainer.job import PROGRESS, checkpoint_path
from pytest_finetune.server.trainer.progress import Checkpoint, Started, Stepped, Stopped, read_progress

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.server.files import Files
    from pytest_finetune.server.store import Store
    from pytest_finetune.server.trainer.progress import TrainerEvent

_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}
"""Columns of the result file, each with its name in the data of events."""


@dataclass(frozen=True, slots=True)
class JobRecorder:
    """
    Records what happens to jobs. Recording something twice has no effect, so that progress can be replayed.

    Args:
        store: Store of the records.
        files: Files of the server, for result files.
        models: Folder of the adapters that are served.
    """

    store: Store
    files: Files
    models: Path

    def add_event(
        self,
        job: Job,
        message: str,
        *,
        name: str = "",
        level: Literal["info", "warn", "error"] = "info",
        metrics: dict[str, float] | None = None,
    ) -> None:
        """
        Add an event to a job.

        Args:
            job: The job.
            message: The text of the event.
            name: Unique among the events of the job: an event with the same name is not added again.
            level: The severity.
            metrics: The figures; an event that has some is of the type `metrics`.
        """
        event = JobEvent(
            id=new_id("ftevent-"),
            created_at=now(),
            level=level,
            message=message,
            type="message" if metrics is None else "metrics",
            data=metrics or {},
        )
        self.store.add(event, parent=job.id, name=name)

    def follow(self, job: Job, folder: Path) -> tuple[Job, Stopped | None]:
        """Record the new lines of a job's progress file; returns the job, and how its training stopped, if it did."""
        stopped = None
        for offset, event in read_progress(folder / PROGRESS, job.offset):
            stopped = event if isinstance(event, Stopped) else None
            job = self._record(job, event, folder).model_copy(update={"offset": offset})
        self.store.replace(job)
        return job, stopped

    def _record(self, job: Job, event: TrainerEvent, folder: Path) -> Job:
        if isinstance(event, Started):
            if event.step:
                self.add_event(job, f"Fine-tuning resumed after step {event.step} of {event.steps}")
            return job.model_copy(update={"steps": event.steps, "tokens": event.tokens})
        if isinstance(event, Stepped):
            self._record_step(job, event)
            return job.model_copy(update={"estimated_finish": now() + round((job.steps - event.step) * event.seconds)})
        if isinstance(event, Checkpoint):
            self._record_checkpoint(job, event, folder)
        return job

    def _record_step(self, job: Job, event: Stepped) -> None:
        data = {
            "step": event.step,
            "total_steps": job.steps,
            "train_loss": event.loss,
            "train_mean_token_accuracy": event.accuracy,
            "valid_loss": event.valid_loss,
            "valid_mean_token_accuracy": event.valid_accuracy,
        }
        message = f"Step {event.step}/{job.steps}: training loss={event.loss:.2f}"
        if event.valid_loss is not None:
            message += f", validation loss={event.valid_loss:.2f}"
        known = {name: value for name, value in data.items() if value is not None}
        self.add_event(job, message, name=f"step-{event.step}", metrics=known)

    def _record_checkpoint(self, job: Job, event: Checkpoint, folder: Path) -> None:
        model = self._serve(f"{job.model_name()}:ckpt-step-{event.step}", folder / event.file)
        metrics = {
            "step": event.step,
            "train_loss": event.loss,
            "train_mean_token_accuracy": event.accuracy,
            "full_valid_loss": event.valid_loss,
            "full_valid_mean_token_accuracy": event.valid_accuracy,
        }
        checkpoint = JobCheckpoint(
            id=new_id("ftckpt_"),
            created_at=now(),
            fine_tuned_model_checkpoint=model,
            fine_tuning_job_id=job.id,
            step_number=event.step,
            metrics={name: value for name, value in metrics.items() if value is not None},
        )
        self.store.add(checkpoint, parent=job.id, name=f"step-{event.step}")
        message = f"Checkpoint created at step {event.step} with Model ID: {model}"
        self.add_event(job, message, name=f"checkpoint-{event.step}")

    def succeed(self, job: Job, folder: Path) -> Job:
        """Finish a job: serve its last adapter, write the result file, and record the success."""
        epochs = job.hyperparameters.n_epochs
        if epochs == "auto":
            raise ValueError("the number of epochs is chosen before a job is queued")
        model = self._serve(job.model_name(), checkpoint_path(folder, epochs))
        result = self.files.write("step_metrics.csv", "fine-tune-results", [self._metrics(job)])
        self.add_event(job, f"New fine-tuned model created: {model}", name="model")
        self.add_event(job, "The job has successfully completed", name="succeeded")
        return self.store.change(
            job,
            status="succeeded",
            fine_tuned_model=model,
            trained_tokens=job.tokens * epochs,
            result_files=(result.id,),
            finished_at=now(),
            estimated_finish=None,
        )

    def _serve(self, model: str, adapter: Path) -> str:
        """Copy an adapter atomically into the folder of models, under a name that `local:` finds too."""
        name = f"{model.replace(':', '-')}.gguf"
        copy_file(adapter, self.models / name)
        self.store.add(TunedModel(id=model, created_at=now(), file=name))
        return model

    def _metrics(self, job: Job) -> bytes:
        """The losses of all steps in OpenAI's format: CSV, encoded in base64."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for event in self.store.all(JobEvent, parent=job.id):
            if event.type == "metrics":
                writer.writerow([event.data.get(name, "") for name in _COLUMNS.values()])
        return base64.b64encode(text.getvalue().encode())
