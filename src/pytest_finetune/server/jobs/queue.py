"""The queue of trainings: one at a time, oldest first; after a restart each resumes from its saved state."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_finetune.base.files import copy_file, write_file
from pytest_finetune.server.files import FileRecord
from pytest_finetune.server.ids import now
from pytest_finetune.server.jobs.checking import check_files
from pytest_finetune.server.jobs.child import Child
from pytest_finetune.server.jobs.records import BASE_LEARNING_RATE, ENDED, Job, JobFault
from pytest_finetune.server.trainer.job import JOB, TrainingJob

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_finetune.server.jobs.recorder import JobRecorder
    from pytest_finetune.server.trainer.progress import Stopped

_POLL_INTERVAL = 0.2
"""Seconds between reads of a progress file."""

_SHUTDOWN_GRACE = 10.0
"""Seconds that a training has to save its state when the server stops; if it fails, some steps are repeated."""

TRAINING, VALIDATION = "train.jsonl", "valid.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """
    The settings of trainings on this machine.

    Args:
        folder: Parent of the jobs' folders.
        weights_cache: Folder for the unpacked base model.
        threads: Cores used by one training.
    """

    folder: Path
    weights_cache: Path
    threads: int = 1


class TrainingQueue:
    """
    Validates and trains jobs until it is cancelled.

    Args:
        recorder: Records what happens to jobs.
        setup: The settings of trainings.
    """

    def __init__(self, recorder: JobRecorder, setup: TrainingSetup) -> None:
        self._recorder, self._store, self._setup = recorder, recorder.store, setup
        self._to_check, self._to_train = asyncio.Event(), asyncio.Event()
        self._running: tuple[str, Child] | None = None

    def wake(self) -> None:
        """Wake the queue because a job was created or resumed."""
        self._to_check.set()
        self._to_train.set()

    async def run(self) -> None:
        """Train job after job. When this is cancelled, the running training saves its state and exits."""
        for job in list(self._store.all(Job)):
            if job.status == "running":
                self._store.change(job, status="queued")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._check_all())
            tasks.create_task(self._train_all())

    async def _check_all(self) -> None:
        while True:
            self._to_check.clear()
            for job in [job for job in self._store.all(Job) if job.status == "validating_files"]:
                await self._check(job)
            await self._to_check.wait()

    async def _train_all(self) -> None:
        while True:
            self._to_train.clear()
            waiting = next((job for job in self._store.all(Job) if job.status == "queued"), None)
            if waiting is None:
                await self._to_train.wait()
            else:
                await self._train(waiting)

    async def _check(self, job: Job) -> None:
        folder = self._setup.folder / job.id
        self._recorder.add_event(job, f"Validating training file: {job.training_file}", name="validating")
        try:
            found = await asyncio.to_thread(self._copy_and_check, job, folder, self._names(job))
        except OSError as error:
            message = f"The files cannot be read: {error.strerror}"
            found = JobFault(code="file_not_readable", message=message, param="training_file")
        job = self._store.current(job)
        if job.status in ENDED:
            self._clear(job)
            return
        if isinstance(found, JobFault):
            self._fail(job, found)
            self._clear(job)
            return
        self._recorder.add_event(job, "Files validated, moving job to queued state", name="validated")
        self._store.change(job, status="queued", hyperparameters=job.hyperparameters.chosen(found))
        self.wake()

    def _copy_and_check(self, job: Job, folder: Path, names: dict[str, str]) -> int | JobFault:
        """Copy the files into the job's folder, so that they can be deleted meanwhile, and validate them."""
        folder.mkdir(exist_ok=True)
        uploaded = self._recorder.files.folder
        copy_file(uploaded / job.training_file, folder / TRAINING)
        if job.validation_file is None:
            return check_files(folder / TRAINING, None, names)
        copy_file(uploaded / job.validation_file, folder / VALIDATION)
        return check_files(folder / TRAINING, folder / VALIDATION, names)

    def _names(self, job: Job) -> dict[str, str]:
        """The names under which the client has uploaded the files, by the names of their copies."""
        files = ((TRAINING, job.training_file), (VALIDATION, job.validation_file or ""))
        found = ((copy, self._store.find(FileRecord, name)) for copy, name in files)
        return {copy: record.filename for copy, record in found if record is not None}

    async def _train(self, job: Job) -> None:
        folder = self._setup.folder / job.id
        write_file(folder / JOB, self._describe(job).model_dump_json().encode())
        job = self._store.change(job, status="running")
        self._recorder.add_event(job, "Fine-tuning job started", name="started")
        child = await Child.start(folder)
        self._running = job.id, child
        if self._store.current(job).status != "running":
            # The job was cancelled or paused while the process started; there is no new state to save.
            child.kill()
        stopped: Stopped | None = None
        try:
            while not await child.has_ended(_POLL_INTERVAL):
                stopped = self._recorder.follow(self._store.current(job), folder)[1] or stopped
        finally:
            self._running = None
            # The process is still running here only if the server is stopping.
            child.pause()
            if not await child.has_ended(_SHUTDOWN_GRACE):
                child.kill()
        job, last = self._recorder.follow(self._store.current(job), folder)
        self._conclude(job, folder, last or stopped, child)
        self._clear(job)

    def _conclude(self, job: Job, folder: Path, stopped: Stopped | None, child: Child) -> None:
        if job.status != "running":
            return
        if stopped is not None and stopped.kind == "finished":
            self._recorder.succeed(job, folder)
        else:
            message = stopped.problem if stopped else child.failure_reason()
            for copy, name in self._names(job).items():
                message = message.replace(f"{copy}:", f"{name}:")
            self._fail(job, JobFault(code="training_failed", message=message))

    def _fail(self, job: Job, fault: JobFault) -> None:
        self._recorder.add_event(job, f"The job failed: {fault.message}", level="error")
        self._store.change(job, status="failed", error=fault, finished_at=now(), estimated_finish=None)

    def _clear(self, job: Job) -> None:
        """Remove the folder of a job that has ended: its results are in the store and in the folder of models."""
        if self._store.current(job).status in ENDED:
            shutil.rmtree(self._setup.folder / job.id, ignore_errors=True)

    def _describe(self, job: Job) -> TrainingJob:
        chosen = job.hyperparameters.model_dump()
        return TrainingJob.model_validate(
            {
                "training_file": TRAINING,
                "validation_file": VALIDATION if job.validation_file else None,
                "epochs": chosen["n_epochs"],
                "batch_size": chosen["batch_size"],
                "learning_rate": BASE_LEARNING_RATE * chosen["learning_rate_multiplier"],
                "seed": job.seed,
                "threads": self._setup.threads,
                "weights_cache": self._setup.weights_cache.resolve(),
            }
        )

    def cancel(self, job: Job) -> Job:
        """Cancel a job."""
        self._recorder.add_event(job, "The job was cancelled", name="cancelled")
        if self._running is not None and self._running[0] == job.id:
            self._running[1].kill()
        job = self._store.change(job, status="cancelled", finished_at=now(), estimated_finish=None)
        if self._running is None or self._running[0] != job.id:
            self._clear(job)
        return job

    def pause(self, job: Job) -> Job:
        """Pause a job; its training stops after the current step."""
        self._recorder.add_event(job, "The job was paused")
        if self._running is not None and self._running[0] == job.id:
            with suppress(ConnectionError):
                self._running[1].pause()
        return self._store.change(job, status="paused", estimated_finish=None)

    def resume(self, job: Job) -> Job:
        """Resume a paused job."""
        self._recorder.add_event(job, "The job was resumed")
        job = self._store.change(job, status="queued")
        self.wake()
        return job
